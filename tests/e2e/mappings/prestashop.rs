//! PrestaShop: the shop's own time, flags that are numbers, rows that are marked as deleted, references that are no keys, addresses
//! of which the newest counts.

use serde_json::json;

use super::{Shipped, after, set};
use crate::records::{given, points_at};

const PRESTASHOP: Shipped = Shipped {
    source: "presta",
    config: include_str!("../../../examples/prestashop.toml"),
    sql: include_str!("prestashop.sql"),
    prefix: "ps_",
    shortened: &[],
    users: &[],
};

#[tokio::test(flavor = "multi_thread")]
async fn customers_and_paid_orders_of_prestashop() {
    let world = PRESTASHOP.on_mariadb().await;
    let mut contacts = given([
        (
            "ps-2",
            &[
                ("FirstName", json!("John")),
                ("LastName", json!("DOE")),
                ("Email", json!("pub@prestashop.com")),
                ("Birthdate", json!("1970-01-15")),
                ("Phone", json!("+33102030405")),
                ("MailingStreet", json!("16, Main street\n2nd floor")),
                ("MailingPostalCode", json!("75002")),
                ("MailingCity", json!("Paris")),
                ("MailingCountryCode", json!("FR")),
                // In Paris it is summer.
                ("Since__c", json!("2025-06-30T23:30:00Z")),
                ("HasOptedOutOfEmail", json!(false)),
            ],
        ),
        (
            "ps-3",
            &[
                ("FirstName", json!("John")),
                ("LastName", json!("DOE")),
                ("Email", json!("pub@prestashop.com")),
                ("Since__c", json!("2025-12-01T11:00:00Z")),
                ("Phone", json!("+13056737575")),
                ("MailingStreet", json!("1 Ocean Drive")),
                ("MailingPostalCode", json!("33139")),
                ("MailingCity", json!("Miami")),
                ("MailingCountryCode", json!("US")),
                ("HasOptedOutOfEmail", json!(true)),
            ],
        ),
    ]);
    let mut orders = given([
        (
            "ps-1",
            &[
                ("OrderReferenceNumber", json!("XKBKNABJK")),
                ("BillToContactId", json!(points_at("ps-2"))),
                ("EffectiveDate", json!("2026-02-02")),
                ("BillingStreet", json!("16, Main street\n2nd floor")),
                ("BillingPostalCode", json!("75002")),
                ("BillingCity", json!("Paris")),
                ("CurrencyIsoCode", json!("EUR")),
                ("Amount_Total__c", json!(61.8)),
                ("Amount_Tax__c", json!(10.3)),
                ("Status", json!("Activated")),
            ],
        ),
        (
            "ps-2",
            &[
                ("OrderReferenceNumber", json!("XKBKNABJK")),
                ("BillToContactId", json!(points_at("ps-2"))),
                ("EffectiveDate", json!("2026-02-02")),
                ("BillingStreet", json!("16, Main street\n2nd floor")),
                ("BillingPostalCode", json!("75002")),
                ("BillingCity", json!("Paris")),
                ("CurrencyIsoCode", json!("GBP")),
                ("Amount_Total__c", json!(69.9)),
                // 11.646
                ("Amount_Tax__c", json!(11.65)),
                ("Status", json!("Activated")),
            ],
        ),
    ]);
    world.expect("Contact", &contacts).await;
    world.expect("Order", &orders).await;

    // A cheque has come: the order counts. Another is paid back, a third moves to a state of the shop's own.
    after(
        &world,
        "update ps_orders set valid = 1, current_state = 2, total_paid_real = 14.900000, invoice_date = '2026-02-05 09:00:00' where id_order = 3;
         update ps_orders set current_state = 7 where id_order = 1;
         update ps_orders set current_state = 18 where id_order = 2",
    )
    .await;
    set(&mut orders, "ps-1", &[("Status", json!("Cancelled"))]);
    set(&mut orders, "ps-2", &[("Status", json!("Draft"))]);
    set(
        &mut orders,
        "ps-3",
        &[
            ("OrderReferenceNumber", json!("OHSATSERP")),
            ("BillToContactId", json!(points_at("ps-3"))),
            ("EffectiveDate", json!("2026-02-03")),
            ("BillingStreet", json!("1 Ocean Drive")),
            ("BillingPostalCode", json!("33139")),
            ("BillingCity", json!("Miami")),
            ("CurrencyIsoCode", json!("EUR")),
            ("Amount_Total__c", json!(14.9)),
            ("Amount_Tax__c", json!(2.48)),
            ("Status", json!("Activated")),
        ],
    );
    world.expect("Order", &orders).await;
    world.mark();

    // The guest becomes a customer and takes the newsletter; `date_upd` moves with every login.
    after(
        &world,
        "update ps_customer set is_guest = 0, newsletter = 1, newsletter_date_add = now(), date_upd = now() where id_customer = 3;
         update ps_customer set date_upd = now(), last_passwd_gen = now() where id_customer = 2",
    )
    .await;
    set(&mut contacts, "ps-3", &[("HasOptedOutOfEmail", json!(false))]);
    world.expect("Contact", &contacts).await;
    assert_eq!(world.writes(), ["updated Contact ps-3 HasOptedOutOfEmail=false"]);

    // He moves: as an order has used the address, it is marked as deleted, and another is written. The order keeps the old one.
    after(
        &world,
        "start transaction; update ps_address set deleted = 1, date_upd = '2026-03-01 10:00:00' where id_address = 5;
         insert into ps_address (id_address, id_country, id_customer, alias, lastname, firstname, address1, postcode, city, phone, date_add, date_upd)
            values (7, 8, 2, 'Mon adresse', 'DOE', 'John', '3, quai Sud', '13001', 'Marseille', '04 91 13 89 00', '2026-03-01 10:00:00', '2026-03-01 10:00:00'); commit",
    )
    .await;
    let moved =
        "MailingCity=\"Marseille\" MailingPostalCode=\"13001\" MailingStreet=\"3, quai Sud\" Phone=\"+33491138900\"";
    assert_eq!(world.writes(), [format!("updated Contact ps-2 {moved}")]);
    // The one on holidays is saved again and is the newest then; it goes, and the country has another code meanwhile.
    after(&world, "update ps_address set date_upd = '2026-03-02 10:00:00' where id_address = 4").await;
    set(
        &mut contacts,
        "ps-2",
        &[
            ("Phone", json!(null)),
            ("MailingStreet", json!("Elsewhere 1")),
            ("MailingPostalCode", json!("33133")),
            ("MailingCity", json!("Miami")),
            ("MailingCountryCode", json!("US")),
        ],
    );
    world.expect("Contact", &contacts).await;
    after(
        &world,
        "start transaction; delete from ps_address where id_address = 4;
         update ps_country set iso_code = 'MC' where id_country = 8; commit",
    )
    .await;
    set(
        &mut contacts,
        "ps-2",
        &[
            ("MailingStreet", json!("3, quai Sud")),
            ("MailingPostalCode", json!("13001")),
            ("MailingCity", json!("Marseille")),
            ("MailingCountryCode", json!("MC")),
        ],
    );
    world.expect("Contact", &contacts).await;
    after(
        &world,
        "update ps_country set iso_code = 'FR' where id_country = 8; update ps_currency set iso_code = 'EUR' where id_currency = 2",
    )
    .await;
    set(&mut contacts, "ps-2", &[("MailingCountryCode", json!("FR")), ("Phone", json!("+33491138900"))]);
    set(&mut orders, "ps-2", &[("CurrencyIsoCode", json!("EUR"))]);
    world.expect("Contact", &contacts).await;
    world.expect("Order", &orders).await;

    // One is marked as deleted, one really is, orders and all; the first comes back.
    after(&world, "update ps_customer set deleted = 1, active = 0 where id_customer = 2").await;
    let deleted = contacts.remove("ps-2").unwrap();
    for key in ["ps-1", "ps-2"] {
        set(&mut orders, key, &[("BillToContactId", json!(null))]);
    }
    world.expect("Contact", &contacts).await;
    world.expect("Order", &orders).await;
    after(&world, "delete from ps_orders where id_customer = 3; delete from ps_customer where id_customer = 3").await;
    contacts.clear();
    orders.remove("ps-3");
    world.expect("Contact", &contacts).await;
    world.expect("Order", &orders).await;
    after(&world, "update ps_customer set deleted = 0, active = 1 where id_customer = 2").await;
    contacts.insert("ps-2".to_owned(), deleted);
    for key in ["ps-1", "ps-2"] {
        set(&mut orders, key, &[("BillToContactId", json!(points_at("ps-2")))]);
    }
    world.expect("Contact", &contacts).await;
    world.expect("Order", &orders).await;
    assert_eq!(world.dead_letters(), [""; 0]);
}
