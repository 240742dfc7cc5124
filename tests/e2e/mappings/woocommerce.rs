//! WooCommerce: zero dates, guests whose number is 0, drafts of every visit, refunds among the orders, the trash, customers whose data
//! is rows.

use serde_json::json;

use super::{Shipped, after, set};
use crate::records::{given, points_at};

const WOOCOMMERCE: Shipped = Shipped {
    source: "woo",
    config: include_str!("../../../examples/woocommerce.toml"),
    sql: include_str!("woocommerce.sql"),
    prefix: "wp_",
    shortened: &[],
    users: &[],
};

#[tokio::test(flavor = "multi_thread")]
async fn users_and_orders_of_woocommerce() {
    let world = WOOCOMMERCE.on_mariadb().await;
    let mut contacts = given([
        (
            "woo-2",
            &[
                ("FirstName", json!("Camille")),
                ("LastName", json!("Durand")),
                ("Email", json!("Compta@exemple.fr")),
                ("Phone", json!("+33240419000")),
                ("MailingStreet", json!("5 rue Crébillon, Bât. A")),
                ("MailingPostalCode", json!("44000")),
                ("MailingCity", json!("Nantes")),
                ("MailingCountryCode", json!("FR")),
                ("Since__c", json!("2026-01-31T23:30:00Z")),
            ],
        ),
        // Neither a name nor an address nor a date.
        ("woo-3", &[("LastName", json!("imported"))]),
    ]);
    let mut deals = given([(
        "woo-100",
        &[
            ("Name", json!("WooCommerce 100 Durand")),
            // Of 49.90, ten are paid back.
            ("Amount", json!(39.9)),
            ("CurrencyIsoCode", json!("EUR")),
            ("Billing_City__c", json!("Nantes")),
            ("Billing_Country__c", json!("FR")),
            ("CloseDate", json!("2026-03-01")),
            ("Customer__c", json!(points_at("woo-2"))),
            ("StageName", json!("Closed Won")),
        ],
    )]);
    world.expect("Contact", &contacts).await;
    world.expect("Opportunity", &deals).await;
    let bad = world.status_of("mappings", "woo_customers").await.unwrap();
    assert_eq!(bad["bad_values_total"].as_u64().unwrap_or(0), 0, "a zero date is none, and not a bad one: {bad:#}");
    world.mark();

    // She logs in, and saves her address: eleven rows in one transaction, one write. The order keeps the address that it had.
    after(&world, "update wp_usermeta set meta_value = 'a:0:{}' where meta_key = 'session_tokens'; update wp_usermeta set meta_value = '1767225601' where meta_key = 'last_update'").await;
    assert_eq!(world.writes(), [""; 0]);
    after(
        &world,
        "start transaction; update wp_usermeta set meta_value = 'Rennes' where user_id = 2 and meta_key = 'billing_city';
         update wp_usermeta set meta_value = '35000' where user_id = 2 and meta_key = 'billing_postcode';
         update wp_usermeta set meta_value = '' where user_id = 2 and meta_key in ('billing_address_2', 'billing_email');
         update wp_usermeta set meta_value = '02 99 28 55 55' where user_id = 2 and meta_key = 'billing_phone';
         delete from wp_usermeta where user_id = 2 and meta_key = 'billing_first_name'; commit",
    )
    .await;
    let moved = "Email=\"Camille@exemple.fr\" FirstName=\"Cam\" MailingCity=\"Rennes\" MailingPostalCode=\"35000\" \
                 MailingStreet=\"5 rue Crébillon\" Phone=\"+33299285555\"";
    assert_eq!(world.writes(), [format!("updated Contact woo-2 {moved}")]);
    set(
        &mut contacts,
        "woo-2",
        &[
            ("FirstName", json!("Cam")),
            ("Email", json!("Camille@exemple.fr")),
            ("MailingStreet", json!("5 rue Crébillon")),
            ("MailingPostalCode", json!("35000")),
            ("MailingCity", json!("Rennes")),
            ("Phone", json!("+33299285555")),
        ],
    );
    // Another refund, one that is put right, and one that is thrown away.
    after(
        &world,
        "insert into wp_wc_orders (id, status, currency, type, total_amount, date_created_gmt, parent_order_id)
             values (105, 'wc-completed', 'EUR', 'shop_order_refund', -4.5, '2026-03-02 10:00:00', 100);
         update wp_wc_orders set total_amount = -9.9 where id = 103",
    )
    .await;
    set(&mut deals, "woo-100", &[("Amount", json!(35.5))]);
    world.expect("Opportunity", &deals).await;
    after(&world, "update wp_wc_orders set status = 'trash' where id = 105").await;
    set(&mut deals, "woo-100", &[("Amount", json!(40.0))]);
    world.expect("Opportunity", &deals).await;

    // A draft of the checkout is paid; another is paid back; a state of an add-on's own.
    after(
        &world,
        "insert into wp_wc_order_addresses (order_id, address_type, first_name, last_name, company, city, country)
             values (101, 'billing', 'X', 'Guest', 'X et Cie', 'Lyon', 'FR');
         update wp_wc_orders set status = 'wc-processing', total_amount = 14.40000000, tax_amount = 2.4, billing_email = 'x@y.fr' where id = 101;
         update wp_wc_orders set status = 'wc-refunded', date_updated_gmt = '2026-03-02 09:00:01' where id = 100;
         insert into wp_wc_orders (id, status, currency, type, total_amount, customer_id, date_created_gmt)
            values (104, 'wc-subscription', 'EUR', 'shop_order', 1, 2, '2026-03-03 09:00:00')",
    )
    .await;
    set(&mut deals, "woo-100", &[("StageName", json!("Closed Lost"))]);
    set(
        &mut deals,
        "woo-101",
        &[
            ("Name", json!("WooCommerce 101 X et Cie")),
            ("Billing_City__c", json!("Lyon")),
            ("Billing_Country__c", json!("FR")),
            ("Amount", json!(14.4)),
            ("CurrencyIsoCode", json!("EUR")),
            ("CloseDate", json!("2026-03-01")),
            ("StageName", json!("Negotiation")),
        ],
    );
    world.expect("Opportunity", &deals).await;
    assert_eq!(world.dead_letters(), ["woo_orders 104 FIELD_BAD"]);

    // The guest opens an account with what he ordered; someone is renamed; a customer becomes an editor, and the contact stays.
    after(
        &world,
        "insert into wp_users (`ID`, user_login, user_email, user_registered, display_name)
               values (4, 'x', 'x@y.fr', '2026-03-03 10:00:00', 'X');
           insert into wp_usermeta (user_id, meta_key, meta_value) values (4, 'wp_capabilities', 'a:1:{s:8:\"customer\";b:1;}');
           update wp_wc_orders set customer_id = 4 where id = 101;
           update wp_usermeta set meta_value = 'Durand-Roy' where user_id = 2 and meta_key = 'billing_last_name';
           update wp_usermeta set meta_value = 'a:1:{s:6:\"editor\";b:1;}' where user_id = 3",
    )
    .await;
    set(
        &mut contacts,
        "woo-4",
        &[("LastName", json!("x")), ("Email", json!("x@y.fr")), ("Since__c", json!("2026-03-03T10:00:00Z"))],
    );
    set(&mut contacts, "woo-2", &[("LastName", json!("Durand-Roy"))]);
    set(&mut deals, "woo-101", &[("Customer__c", json!(points_at("woo-4")))]);
    world.expect("Contact", &contacts).await;
    world.expect("Opportunity", &deals).await;

    // Into the trash, out of it, and gone for good.
    after(&world, "update wp_wc_orders set status = 'trash' where id in (100, 101)").await;
    let back = deals.remove("woo-100").unwrap();
    deals.clear();
    world.expect("Opportunity", &deals).await;
    after(
        &world,
        "update wp_wc_orders set status = 'wc-completed' where id = 100; delete from wp_wc_orders where id = 101",
    )
    .await;
    deals.insert("woo-100".to_owned(), back);
    set(&mut deals, "woo-100", &[("StageName", json!("Closed Won"))]);
    world.expect("Opportunity", &deals).await;
    after(&world, "delete from wp_users where `ID` = 2").await;
    contacts.remove("woo-2");
    set(&mut deals, "woo-100", &[("Customer__c", json!(null))]);
    world.expect("Contact", &contacts).await;
    world.expect("Opportunity", &deals).await;
}
