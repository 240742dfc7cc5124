//! Shopware: keys of bytes, rows in versions, figures in JSON.

use serde_json::json;

use super::{Shipped, after, set};
use crate::records::{given, points_at};

const SHOPWARE: Shipped = Shipped {
    source: "shopware",
    config: include_str!("../../../examples/shopware.toml"),
    sql: include_str!("shopware.sql"),
    prefix: "",
    shortened: &[],
};

const MAX: &str = "0190a1b2c3d47e5f8091a2b3c4d5e6f7";
const ERIKA: &str = "0190a1b2c3d47e5f8091a2b3c4000000";
const GUEST: &str = "0190a1b2c3d47e5f8091a2b3c4d5e6ff";
const OF_MAX: &str = "0190a1b2c3d47e5f8091a2b3c4d50001";
const OF_ERIKA: &str = "0190a1b2c3d47e5f8091a2b3c4d50002";
const OF_GUEST: &str = "0190a1b2c3d47e5f8091a2b3c4d50003";
const ORDER: &str = "0191ffffffff7000800000000000aa01";

#[tokio::test(flavor = "multi_thread")]
async fn customers_addresses_and_orders_of_shopware() {
    let world = SHOPWARE.on_mariadb().await;
    let mut contacts = given([
        (
            MAX,
            &[
                ("FirstName", json!("Max")),
                ("LastName", json!("Mustermann")),
                ("Email", json!("max@mustermann.example")),
                ("Birthdate", json!("1980-05-17")),
                ("VAT__c", json!("DE123456788")),
            ],
        ),
        (
            ERIKA,
            &[("FirstName", json!("Erika")), ("LastName", json!("Gäßler")), ("Email", json!("erika@beispiel.example"))],
        ),
    ]);
    let mut addresses = given([
        (
            OF_MAX,
            &[
                ("Contact__c", json!(points_at(MAX))),
                ("Street__c", json!("Ebbinghoff 10")),
                ("Postal_Code__c", json!("48624")),
                ("City__c", json!("Schöppingen")),
                ("Phone__c", json!("+4930901820")),
            ],
        ),
        (
            OF_ERIKA,
            &[
                ("Contact__c", json!(points_at(ERIKA))),
                ("Street__c", json!("Am Markt 1, Hinterhaus")),
                ("City__c", json!("Berlin")),
            ],
        ),
        // A guest is no contact.
        (OF_GUEST, &[("Street__c", json!("Weg 2")), ("Postal_Code__c", json!("10115")), ("City__c", json!("Berlin"))]),
    ]);
    let mut orders = given([(
        ORDER,
        &[
            ("OrderReferenceNumber", json!("10000")),
            ("EffectiveDate", json!("2026-04-01")),
            ("Amount_Total__c", json!(119.99)),
            ("Amount_Untaxed__c", json!(100.83)),
            ("Status", json!("Draft")),
        ],
    )]);
    world.expect("Contact", &contacts).await;
    world.expect("Address__c", &addresses).await;
    world.expect("Order", &orders).await;
    world.mark();

    // What the administration edits, it edits in a version of its own; then it merges that, and drops it.
    after(
        &world,
        r#"update `order` set price = '{"netPrice": 84.03, "totalPrice": 100.0}' where version_id = x'0191ffffffff7000800000000000bb01'"#,
    )
    .await;
    assert_eq!(world.writes(), [""; 0]);
    after(
        &world,
        r#"update `order` set price = '{"netPrice": 84.03, "totalPrice": 100.0}', updated_at = now() where version_id = x'0fa91ce3e96a4bc2be4bd9ce752c3425';
           delete from `order` where version_id = x'0191ffffffff7000800000000000bb01'"#,
    )
    .await;
    set(&mut orders, ORDER, &[("Amount_Total__c", json!(100.0)), ("Amount_Untaxed__c", json!(84.03))]);
    world.expect("Order", &orders).await;
    assert_eq!(world.writes().len(), 1);

    // The guest opens an account, and the address finds its contact. A login is nobody's business.
    after(
        &world,
        "update customer set guest = false, password = 'x' where id = x'0190a1b2c3d47e5f8091a2b3c4d5e6ff';
          update customer set last_login = now(), updated_at = now() where id = x'0190a1b2c3d47e5f8091a2b3c4d5e6f7'",
    )
    .await;
    set(
        &mut contacts,
        GUEST,
        &[("FirstName", json!("Guest")), ("LastName", json!("Guest")), ("Email", json!("guest@beispiel.example"))],
    );
    set(&mut addresses, OF_GUEST, &[("Contact__c", json!(points_at(GUEST)))]);
    world.expect("Contact", &contacts).await;
    world.expect("Address__c", &addresses).await;

    // An address goes to another customer, one gets another VAT number and another name.
    after(
        &world,
        r#"update customer_address set customer_id = x'0190a1b2c3d47e5f8091a2b3c4d5e6f7' where id = x'0190a1b2c3d47e5f8091a2b3c4d50003';
           update customer set vat_ids = '["ATU12345675"]', last_name = 'Maier' where id = x'0190a1b2c3d47e5f8091a2b3c4d5e6f7'"#,
    )
    .await;
    set(&mut addresses, OF_GUEST, &[("Contact__c", json!(points_at(MAX)))]);
    set(&mut contacts, MAX, &[("VAT__c", json!("ATU12345675")), ("LastName", json!("Maier"))]);
    world.expect("Contact", &contacts).await;
    world.expect("Address__c", &addresses).await;

    // A customer goes, the addresses with it; an order, too.
    after(&world, "delete from customer where id = x'0190a1b2c3d47e5f8091a2b3c4000000'").await;
    after(&world, "delete from `order`").await;
    contacts.remove(ERIKA);
    addresses.remove(OF_ERIKA);
    orders.clear();
    world.expect("Contact", &contacts).await;
    world.expect("Address__c", &addresses).await;
    world.expect("Order", &orders).await;
    assert_eq!(world.dead_letters(), [""; 0]);
}
