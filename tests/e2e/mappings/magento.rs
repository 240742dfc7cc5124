//! Magento: exact money, guests, a newsletter, orders together and carts that have been still; addresses, groups and attributes
//! that are rows.

use serde_json::json;

use super::{Shipped, after, set};
use crate::records::{given, points_at};

const MAGENTO: Shipped = Shipped {
    source: "magento",
    config: include_str!("../../../examples/magento.toml"),
    sql: include_str!("magento.sql"),
    prefix: "m2_",
    shortened: &[("every = \"1h\"", "every = \"1s\""), ("quiet    = \"1h\"", "quiet = \"1s\"")],
    users: &[],
};

#[tokio::test(flavor = "multi_thread")]
async fn customers_subscriptions_orders_and_carts_of_magento() {
    let world = MAGENTO.on_mariadb().await;
    let mut contacts = given([
        (
            "m2-1",
            &[
                ("FirstName", json!("Veronica")),
                ("LastName", json!("COSTELLO")),
                ("Email", json!("roni_cost@example.com")),
                ("Birthdate", json!("1973-12-15")),
                ("Gender__c", json!("female")),
                ("Since__c", json!("2025-11-03T22:15:07Z")),
                ("Phone", json!("+3225010211")),
                ("MailingStreet", json!("Rue de la Loi 16, Boîte 4")),
                ("MailingPostalCode", json!("1000")),
                ("MailingCity", json!("Bruxelles")),
                ("MailingCountryCode", json!("BE")),
                ("Customer_Group__c", json!("General")),
                ("Loyalty_Number__c", json!("FR-0042")),
                ("Loyalty_Points__c", json!(120)),
            ],
        ),
        (
            "m2-2",
            &[
                ("FirstName", json!("Anne-Lise")),
                ("LastName", json!("LE GOFF")),
                ("Email", json!("anne-lise@exemple.fr")),
                ("Since__c", json!("2026-02-28T09:00:00Z")),
                ("Customer_Group__c", json!("Retailer")),
            ],
        ),
    ]);
    let mut subscriptions = given([
        (
            "m2-1",
            &[
                ("Email__c", json!("roni_cost@example.com")),
                ("Contact__c", json!(points_at("m2-1"))),
                ("Changed_At__c", json!("2025-11-03T22:16:00Z")),
                ("Consent__c", json!("in")),
            ],
        ),
        ("m2-2", &[("Email__c", json!("passer-by@exemple.fr")), ("Changed_At__c", json!("2026-01-10T08:00:00Z"))]),
    ]);
    let mut deals = given([
        (
            "m2-1",
            &[
                ("Name", json!("000000001 Costello")),
                ("Amount", json!(36.39)),
                ("CurrencyIsoCode", json!("EUR")),
                ("CloseDate", json!("2026-01-01")),
                ("StageName", json!("Closed Won")),
                ("Customer__c", json!(points_at("m2-1"))),
            ],
        ),
        (
            "m2-2",
            &[
                ("Name", json!("000000002 guest@exemple.fr")),
                ("Amount", json!(10_000_000.01)),
                ("CurrencyIsoCode", json!("EUR")),
                ("CloseDate", json!("2026-03-01")),
                ("StageName", json!("Negotiation")),
            ],
        ),
    ]);
    let mut carts = given([(
        "m2-1",
        &[
            ("Value__c", json!(59.9)),
            ("Abandoned_At__c", json!("2026-03-05T12:34:56Z")),
            ("Contact__c", json!(points_at("m2-2"))),
        ],
    )]);
    world.expect("Contact", &contacts).await;
    world.expect("Subscription__c", &subscriptions).await;
    world.expect("Opportunity", &deals).await;
    world.expect("Cart__c", &carts).await;
    assert_eq!(world.dead_letters(), [""; 0]);
    world.mark();

    // A login that fails writes the customer's row and its `updated_at`; it is nobody's business.
    after(
        &world,
        "update m2_customer_entity set failures_num = 1, first_failure = now(), updated_at = now() where entity_id = 1",
    )
    .await;
    assert_eq!(world.writes(), [""; 0]);

    // Her address is corrected; a group has another name; points are added, and her shoes are nobody's business.
    after(
        &world,
        "update m2_customer_address_entity set street = 'Rue de la Loi 18', telephone = '02 501 02 12' where entity_id = 11;
         update m2_customer_address_entity set city = 'Roubaix' where entity_id = 10",
    )
    .await;
    let address = "MailingStreet=\"Rue de la Loi 18\" Phone=\"+3225010212\"";
    assert_eq!(world.writes(), [format!("updated Contact m2-1 {address}")]);
    after(&world, "update m2_customer_group set customer_group_code = 'Reseller' where customer_group_id = 3").await;
    assert_eq!(world.writes(), ["updated Contact m2-2 Customer_Group__c=\"Reseller\""]);
    after(
        &world,
        "update m2_customer_entity_int set value = value + 2 where entity_id = 1;
         insert into m2_customer_entity_int (attribute_id, entity_id, value) values (151, 2, 10);
         update m2_customer_entity_varchar set value = 'FR-0043' where value_id = 2;
         update m2_customer_entity set default_billing = 12 where entity_id = 2",
    )
    .await;
    set(
        &mut contacts,
        "m2-1",
        &[
            ("MailingStreet", json!("Rue de la Loi 18")),
            ("Phone", json!("+3225010212")),
            ("Loyalty_Points__c", json!(122)),
        ],
    );
    set(
        &mut contacts,
        "m2-2",
        &[
            ("Customer_Group__c", json!("Reseller")),
            ("Loyalty_Points__c", json!(10)),
            ("Loyalty_Number__c", json!("FR-0043")),
            ("MailingStreet", json!("2 rue de Siam")),
            ("MailingPostalCode", json!("29200")),
            ("MailingCity", json!("Brest")),
            ("MailingCountryCode", json!("FR")),
        ],
    );
    world.expect("Contact", &contacts).await;
    // An attribute gets the code that another had: both values follow it. A value is deleted.
    after(
        &world,
        "update m2_eav_attribute set attribute_code = 'loyalty_points_old' where attribute_id = 151;
         update m2_eav_attribute set attribute_code = 'loyalty_points' where attribute_id = 152;
         delete from m2_customer_entity_varchar where value_id = 1",
    )
    .await;
    set(&mut contacts, "m2-1", &[("Loyalty_Points__c", json!(40)), ("Loyalty_Number__c", json!(null))]);
    set(&mut contacts, "m2-2", &[("Loyalty_Points__c", json!(null))]);
    world.expect("Contact", &contacts).await;

    // She marries, leaves the newsletter, and a passer-by confirms.
    after(&world, "update m2_customer_entity set lastname = 'Coste', gender = null where entity_id = 1").await;
    after(
        &world,
        "update m2_newsletter_subscriber set subscriber_status = 3, change_status_at = '2026-03-31 22:00:00' where subscriber_id = 1;
         update m2_newsletter_subscriber set subscriber_status = 1, subscriber_email = 'Passer.By@exemple.fr' where subscriber_id = 2",
    )
    .await;
    set(&mut contacts, "m2-1", &[("LastName", json!("COSTE")), ("Gender__c", json!(null))]);
    set(&mut subscriptions, "m2-1", &[("Consent__c", json!("out")), ("Changed_At__c", json!("2026-03-31T22:00:00Z"))]);
    set(&mut subscriptions, "m2-2", &[("Consent__c", json!("in")), ("Email__c", json!("Passer.By@exemple.fr"))]);
    world.expect("Contact", &contacts).await;
    world.expect("Subscription__c", &subscriptions).await;
    // Unconfirmed again: what was said last stands.
    after(&world, "update m2_newsletter_subscriber set subscriber_status = 4 where subscriber_id = 2").await;
    world.expect("Subscription__c", &subscriptions).await;

    // An order is paid, one is held for review: a state that the map does not name.
    after(
        &world,
        "update m2_sales_order set state = 'processing', status = 'processing', base_grand_total = 12.3456 where entity_id = 3;
         update m2_sales_order set state = 'holded' where entity_id = 2",
    )
    .await;
    set(
        &mut deals,
        "m2-3",
        &[
            ("Name", json!("000000003 Le Goff")),
            ("Amount", json!(12.3456)),
            ("CurrencyIsoCode", json!("EUR")),
            ("CloseDate", json!("2026-03-01")),
            ("StageName", json!("Negotiation")),
            ("Customer__c", json!(points_at("m2-2"))),
        ],
    );
    world.expect("Opportunity", &deals).await;
    assert_eq!(world.dead_letters(), ["m2_deals 2 FIELD_BAD"]);
    after(&world, "update m2_sales_order set state = 'canceled' where entity_id = 2").await;
    set(&mut deals, "m2-2", &[("StageName", json!("Closed Lost"))]);
    world.expect("Opportunity", &deals).await;
    assert_eq!(world.dead_letters(), [""; 0]);

    // A cart becomes an order: quote and order in one transaction. Another is filled by a guest.
    after(
        &world,
        "update m2_quote set is_active = 0, reserved_order_id = '000000004' where entity_id = 1;
         insert into m2_sales_order (entity_id, state, store_id, customer_id, base_grand_total, increment_id, base_currency_code,
            customer_email, customer_lastname, created_at)
            values (4, 'processing', 1, 2, 59.9000, '000000004', 'EUR', 'anne-lise@exemple.fr', 'Le Goff', '2026-03-05 13:00:00');
         update m2_quote set items_count = 1, grand_total = 5.5000, updated_at = '2026-03-06 00:00:00' where entity_id = 3",
    )
    .await;
    set(
        &mut deals,
        "m2-4",
        &[
            ("Name", json!("000000004 Le Goff")),
            ("Amount", json!(59.9)),
            ("CurrencyIsoCode", json!("EUR")),
            ("CloseDate", json!("2026-03-05")),
            ("StageName", json!("Negotiation")),
            ("Customer__c", json!(points_at("m2-2"))),
        ],
    );
    carts.clear();
    set(&mut carts, "m2-3", &[("Value__c", json!(5.5)), ("Abandoned_At__c", json!("2026-03-06T00:00:00Z"))]);
    world.expect("Opportunity", &deals).await;
    world.expect("Cart__c", &carts).await;

    // A customer is deleted: her orders stay, without her.
    after(
        &world,
        "delete from m2_newsletter_subscriber where subscriber_id = 1; delete from m2_customer_entity where entity_id = 1",
    )
    .await;
    contacts.remove("m2-1");
    subscriptions.remove("m2-1");
    set(&mut deals, "m2-1", &[("Customer__c", json!(null))]);
    world.expect("Contact", &contacts).await;
    world.expect("Subscription__c", &subscriptions).await;
    world.expect("Opportunity", &deals).await;
    assert_eq!(world.dead_letters(), [""; 0]);
}
