//! Shopware: keys of bytes, rows in versions, figures in JSON, and all that is said by ids of other tables.

use serde_json::json;

use super::{Shipped, after, set};
use crate::records::{given, points_at};

const SHOPWARE: Shipped = Shipped {
    source: "shopware",
    config: include_str!("../../../examples/shopware.toml"),
    sql: include_str!("shopware.sql"),
    prefix: "",
    shortened: &[],
    users: &[],
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
                ("Salutation", json!("Mr.")),
                ("HasOptedOutOfEmail", json!(true)),
                ("Phone", json!("+4930901820")),
                ("MailingStreet", json!("Ebbinghoff 10")),
                ("MailingPostalCode", json!("48624")),
                ("MailingCity", json!("Schöppingen")),
                ("MailingCountryCode", json!("DE")),
            ],
        ),
        (
            ERIKA,
            &[
                ("FirstName", json!("Erika")),
                ("LastName", json!("Gäßler")),
                ("Email", json!("erika@beispiel.example")),
                ("Salutation", json!("Ms.")),
                ("HasOptedOutOfEmail", json!(false)),
                ("MailingStreet", json!("Am Markt 1, Hinterhaus")),
                ("MailingCity", json!("Berlin")),
                ("MailingCountryCode", json!("AT")),
            ],
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
                ("Country__c", json!("DE")),
                ("Phone__c", json!("+4930901820")),
            ],
        ),
        (
            OF_ERIKA,
            &[
                ("Contact__c", json!(points_at(ERIKA))),
                ("Street__c", json!("Am Markt 1, Hinterhaus")),
                ("City__c", json!("Berlin")),
                ("Country__c", json!("AT")),
            ],
        ),
        // A guest is no contact.
        (
            OF_GUEST,
            &[
                ("Street__c", json!("Weg 2")),
                ("Postal_Code__c", json!("10115")),
                ("City__c", json!("Berlin")),
                ("Country__c", json!("DE")),
            ],
        ),
    ]);
    let mut orders = given([(
        ORDER,
        &[
            ("OrderReferenceNumber", json!("10000")),
            // Not whom somebody is just putting in his place.
            ("BillToContactId", json!(points_at(ERIKA))),
            ("CurrencyIsoCode", json!("EUR")),
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

    // The order moves on, in another currency; then to a state that the map does not name; its buyer is another one.
    after(&world, "update `order` set state_id = x'02', currency_id = x'c0' where order_number = '10000'").await;
    assert_eq!(world.writes(), [format!("updated Order {ORDER} CurrencyIsoCode=\"CHF\" Status=\"Activated\"")]);
    after(&world, "update `order` set state_id = x'04' where order_number = '10000'").await;
    assert_eq!(world.dead_letters().len(), 1);
    after(
        &world,
        "update state_machine_state set technical_name = 'cancelled' where technical_name = 'paid_partially';
         update order_customer set customer_id = x'0190a1b2c3d47e5f8091a2b3c4d5e6ff', email = 'guest@beispiel.example'
             where version_id = x'0fa91ce3e96a4bc2be4bd9ce752c3425'",
    )
    .await;
    set(
        &mut orders,
        ORDER,
        &[("Status", json!("Cancelled")), ("CurrencyIsoCode", json!("CHF")), ("BillToContactId", json!(null))],
    );
    world.expect("Order", &orders).await;
    assert_eq!(world.dead_letters(), [""; 0]);

    // Both leave the newsletter or take it again, by whatever they type; one moves to another country.
    world.mark();
    after(
        &world,
        "insert into newsletter_recipient (id, email, status, language_id, sales_channel_id, created_at)
             values (x'a4', 'Erika@BEISPIEL.example', 'optOut', x'01', x'01', '2026-04-02 10:00:00')",
    )
    .await;
    assert_eq!(world.writes(), [format!("updated Contact {ERIKA} HasOptedOutOfEmail=true")]);
    after(&world, "delete from newsletter_recipient where created_at > '2026-04-01' or email like 'max@%'").await;
    let mut writes = world.writes();
    writes.sort_unstable();
    let again = |id: &str| format!("updated Contact {id} HasOptedOutOfEmail=false");
    assert_eq!(writes, [again(ERIKA), again(MAX)]);
    set(&mut contacts, MAX, &[("HasOptedOutOfEmail", json!(false))]);
    after(
        &world,
        "update customer_address set country_id = x'02', phone_number = '01 5130100' where id = x'0190a1b2c3d47e5f8091a2b3c4d50001';
         update salutation set salutation_key = 'mx' where salutation_key = 'mrs'",
    )
    .await;
    set(&mut contacts, MAX, &[("MailingCountryCode", json!("AT")), ("Phone", json!("+4315130100"))]);
    set(&mut contacts, ERIKA, &[("Salutation", json!(null))]);
    set(&mut addresses, OF_MAX, &[("Country__c", json!("AT")), ("Phone__c", json!("+4315130100"))]);
    world.expect("Contact", &contacts).await;
    world.expect("Address__c", &addresses).await;
    // The whole country is called otherwise.
    after(&world, "update country set iso = 'CH' where iso = 'AT'").await;
    for id in [MAX, ERIKA] {
        set(&mut contacts, id, &[("MailingCountryCode", json!("CH"))]);
    }
    for id in [OF_MAX, OF_ERIKA] {
        set(&mut addresses, id, &[("Country__c", json!("CH"))]);
    }
    // What was an Austrian number is no Swiss one: it is left as it is.
    world.expect("Contact", &contacts).await;
    world.expect("Address__c", &addresses).await;

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
        &[
            ("FirstName", json!("Guest")),
            ("LastName", json!("Guest")),
            ("Email", json!("guest@beispiel.example")),
            ("HasOptedOutOfEmail", json!(false)),
            ("MailingStreet", json!("Weg 2")),
            ("MailingPostalCode", json!("10115")),
            ("MailingCity", json!("Berlin")),
            ("MailingCountryCode", json!("DE")),
        ],
    );
    // It was the guest's order.
    set(&mut orders, ORDER, &[("BillToContactId", json!(points_at(GUEST)))]);
    world.expect("Order", &orders).await;
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
