//! WooCommerce: zero dates, guests whose number is 0, drafts of every visit, refunds among the orders, the trash.

use serde_json::json;

use super::{Shipped, after, set};
use crate::records::{given, points_at};

const WOOCOMMERCE: Shipped = Shipped {
    source: "woo",
    config: include_str!("../../../examples/woocommerce.toml"),
    sql: include_str!("woocommerce.sql"),
    prefix: "wp_",
    shortened: &[],
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
                ("Email", json!("Camille@exemple.fr")),
                ("Since__c", json!("2026-01-31T23:30:00Z")),
            ],
        ),
        // Neither a name nor an address nor a date.
        ("woo-3", &[("LastName", json!("imported"))]),
    ]);
    let mut deals = given([(
        "woo-100",
        &[
            ("Name", json!("WooCommerce 100")),
            ("Amount", json!(49.9)),
            ("CurrencyIsoCode", json!("EUR")),
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

    // A draft of the checkout is paid; the refund of another takes part of it back; a state of an add-on's own.
    after(
        &world,
        "update wp_wc_orders set status = 'wc-processing', total_amount = 14.40000000, tax_amount = 2.4, billing_email = 'x@y.fr' where id = 101;
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
            ("Name", json!("WooCommerce 101")),
            ("Amount", json!(14.4)),
            ("CurrencyIsoCode", json!("EUR")),
            ("CloseDate", json!("2026-03-01")),
            ("StageName", json!("Negotiation")),
        ],
    );
    world.expect("Opportunity", &deals).await;
    assert_eq!(world.dead_letters(), ["woo_orders 104 FIELD_BAD"]);

    // The guest opens an account with what he ordered; someone is renamed; one of ours was a customer before.
    after(
        &world,
        "insert into wp_users (`ID`, user_login, user_email, user_registered, display_name)
               values (4, 'x', 'x@y.fr', '2026-03-03 10:00:00', 'X');
           update wp_wc_orders set customer_id = 4 where id = 101;
           update wp_users set display_name = 'Camille Durand-Roy', user_activation_key = 'k' where `ID` = 2;
           update wp_users set user_email = 'imported@acme.example', display_name = 'One of us' where `ID` = 3",
    )
    .await;
    set(
        &mut contacts,
        "woo-4",
        &[("LastName", json!("X")), ("Email", json!("x@y.fr")), ("Since__c", json!("2026-03-03T10:00:00Z"))],
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
