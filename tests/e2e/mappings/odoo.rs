//! Odoo: one table for companies and people, an archive, orders that become final.

use serde_json::json;

use super::{Shipped, after, set};
use crate::records::{given, points_at};

const ODOO: Shipped = Shipped {
    source: "odoo",
    config: include_str!("../../../examples/odoo.toml"),
    sql: include_str!("odoo.sql"),
    prefix: "",
    shortened: &[],
};

#[tokio::test(flavor = "multi_thread")]
async fn companies_people_and_orders_of_odoo() {
    let world = ODOO.on_postgres().await;
    let mut accounts = given([
        (
            "10",
            &[
                ("Name", json!("Azur Intérieurs")),
                ("Type", json!("Customer")),
                ("Active__c", json!(true)),
                ("SIRET__c", json!("73282932000074")),
                ("VAT__c", json!("FR44732829320")),
                ("BillingStreet", json!("12 rue de la République\nBâtiment C")),
                ("BillingCity", json!("Nice")),
                ("BillingPostalCode", json!("06000")),
                ("Phone", json!("+33493133700")),
            ],
        ),
        (
            "11",
            &[
                ("Name", json!("Azur Intérieurs Lyon")),
                ("Type", json!("Customer")),
                ("Active__c", json!(true)),
                // Its SIRET has a wrong check digit, its telephone number is none: both are left out.
                ("BillingStreet", json!("3 quai Claude Bernard")),
                ("BillingCity", json!("Lyon")),
                ("BillingPostalCode", json!("69007")),
                ("ParentId", json!(points_at("10"))),
            ],
        ),
    ]);
    let mut contacts = given([
        (
            "20",
            &[
                ("FirstName", json!("Jean-Pierre")),
                ("LastName", json!("MARTIN")),
                ("Active__c", json!(true)),
                ("Email", json!("JP.Martin@azur.example")),
                ("AccountId", json!(points_at("10"))),
            ],
        ),
        ("21", &[("FirstName", json!("Ada")), ("LastName", json!("de Lovelace")), ("Active__c", json!(true))]),
        // Of a supplier, which has no account.
        ("22", &[("LastName", json!("Cher")), ("Active__c", json!(true))]),
    ]);
    let mut orders = given([
        (
            "1",
            &[
                ("AccountId", json!(points_at("10"))),
                ("OrderReferenceNumber", json!("S00001")),
                ("EffectiveDate", json!("2026-07-01")),
                ("Status", json!("Activated")),
                ("Amount_Untaxed__c", json!(1200.0)),
                ("Amount_Tax__c", json!(240.0)),
                ("Amount_Total__c", json!(1440.0)),
            ],
        ),
        (
            "2",
            &[
                ("BillToContactId", json!(points_at("20"))),
                ("OrderReferenceNumber", json!("S00002")),
                ("EffectiveDate", json!("2026-02-01")),
                ("Status", json!("Activated")),
                ("Amount_Untaxed__c", json!(0.1)),
                ("Amount_Tax__c", json!(0.02)),
                ("Amount_Total__c", json!(0.12)),
            ],
        ),
        (
            "4",
            &[
                ("AccountId", json!(points_at("10"))),
                ("OrderReferenceNumber", json!("S00004")),
                ("EffectiveDate", json!("2026-05-04")),
                ("Status", json!("Cancelled")),
                ("Amount_Untaxed__c", json!(15.0)),
                ("Amount_Tax__c", json!(3.0)),
                ("Amount_Total__c", json!(18.0)),
            ],
        ),
    ]);
    world.expect("Account", &accounts).await;
    world.expect("Contact", &contacts).await;
    world.expect("Order", &orders).await;
    // Salesforce takes no new order that is active: each began as a draft.
    let begun = world.writes().into_iter().filter(|write| write.starts_with("created Order"));
    assert!(begun.into_iter().all(|write| write.contains("Status=\"Draft\"")));
    assert_eq!(world.dead_letters(), [""; 0]);

    // A quotation is confirmed. Odoo writes the whole row, and write_date with every change.
    after(
        &world,
        "update sale_order set state = 'sale', date_order = '2026-07-02 22:15:00', write_date = now() where id = 3",
    )
    .await;
    set(
        &mut orders,
        "3",
        &[
            ("AccountId", json!(points_at("10"))),
            ("OrderReferenceNumber", json!("S00003")),
            ("EffectiveDate", json!("2026-07-03")),
            ("Status", json!("Activated")),
            ("Amount_Untaxed__c", json!(99.9)),
            ("Amount_Tax__c", json!(19.98)),
            ("Amount_Total__c", json!(119.88)),
        ],
    );
    world.expect("Order", &orders).await;
    let writes = world.writes();
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert!(
        writes[0].starts_with("created Order 3") && writes[1] == "updated Order 3 Status=\"Activated\"",
        "{writes:?}"
    );

    // It is locked, so that its account is left alone, goes to another partner, gets a line, and is cancelled.
    after(&world, "update sale_order set locked = true, partner_id = 20, amount_untaxed = 100.00, amount_total = 120.00 where id = 3").await;
    after(&world, "update sale_order set state = 'cancel' where id = 3").await;
    set(
        &mut orders,
        "3",
        &[
            ("BillToContactId", json!(points_at("20"))),
            ("Status", json!("Cancelled")),
            ("Amount_Untaxed__c", json!(100.0)),
            ("Amount_Tax__c", json!(20.0)),
            ("Amount_Total__c", json!(120.0)),
        ],
    );
    world.expect("Order", &orders).await;
    world.mark();

    // What no field is made of costs no call.
    after(&world, "update res_partner set write_date = now(), write_uid = 2, color = 4, website = 'x.example'").await;
    assert_eq!(world.writes(), [""; 0]);

    // A new customer and its people in one transaction, the person's row first.
    after(
        &world,
        "insert into res_partner (id, name, is_company, active, type, email, customer_rank) \
            values (31, 'DUPONT, Éléonore', false, true, 'contact', 'eleonore@vent.example', 0);
         insert into res_partner (id, name, is_company, active, type, vat, customer_rank, commercial_partner_id) \
            values (30, 'Vent d''Ouest', true, true, 'contact', 'FR 44 732829320', 1, 30);
         update res_partner set parent_id = 30, commercial_partner_id = 30 where id = 31",
    )
    .await;
    set(
        &mut accounts,
        "30",
        &[
            ("Name", json!("Vent d'Ouest")),
            ("Type", json!("Customer")),
            ("Active__c", json!(true)),
            ("VAT__c", json!("FR 44 732829320")),
        ],
    );
    set(
        &mut contacts,
        "31",
        &[
            ("FirstName", json!("Éléonore")),
            ("LastName", json!("DUPONT")),
            ("Active__c", json!(true)),
            ("Email", json!("eleonore@vent.example")),
            ("AccountId", json!(points_at("30"))),
        ],
    );
    world.expect("Account", &accounts).await;
    world.expect("Contact", &contacts).await;

    // The archive, and out of it again; while it is there its changes are not the CRM's.
    after(&world, "update res_partner set active = false where id in (10, 20)").await;
    after(&world, "update res_partner set city = 'Cannes' where id = 10").await;
    set(&mut accounts, "10", &[("Active__c", json!(false))]);
    set(&mut contacts, "20", &[("Active__c", json!(false))]);
    world.expect("Account", &accounts).await;
    world.expect("Contact", &contacts).await;
    after(&world, "update res_partner set active = true where id in (10, 20)").await;
    set(&mut accounts, "10", &[("Active__c", json!(true)), ("BillingCity", json!("Cannes"))]);
    set(&mut contacts, "20", &[("Active__c", json!(true))]);
    world.expect("Account", &accounts).await;
    world.expect("Contact", &contacts).await;
    world.mark();

    // No customer any more, and a telephone number that is the sales people's by now: nothing happens. A supplier becomes a
    // customer, and the person that works there finds the account.
    after(
        &world,
        "update res_partner set customer_rank = 0, city = 'Menton' where id = 11;
         update res_partner set phone = '04 93 99 99 99' where id = 10",
    )
    .await;
    assert_eq!(world.writes(), [""; 0]);
    // Its account is in the CRM all the same: who begins to work there has it.
    after(
        &world,
        "insert into res_partner (id, name, is_company, active, type, parent_id, commercial_partner_id) \
            values (23, 'Yann LE BRAS', false, true, 'contact', 11, 11)",
    )
    .await;
    set(
        &mut contacts,
        "23",
        &[
            ("FirstName", json!("Yann")),
            ("LastName", json!("LE BRAS")),
            ("Active__c", json!(true)),
            ("AccountId", json!(points_at("11"))),
        ],
    );
    world.expect("Contact", &contacts).await;
    after(&world, "update res_partner set customer_rank = 1 where id = 12").await;
    set(
        &mut accounts,
        "12",
        &[
            ("Name", json!("Bois du Nord")),
            ("Type", json!("Customer")),
            ("Active__c", json!(true)),
            ("BillingCity", json!("Lille")),
        ],
    );
    set(&mut contacts, "22", &[("AccountId", json!(points_at("12")))]);
    world.expect("Account", &accounts).await;
    world.expect("Contact", &contacts).await;

    // A person becomes a company: the contact stays, an account is made. Another is really deleted.
    after(
        &world,
        "update res_partner set is_company = true, customer_rank = 1, name = 'Lovelace SARL' where id = 21;
         delete from res_partner where id = 22",
    )
    .await;
    set(
        &mut accounts,
        "21",
        &[("Name", json!("Lovelace SARL")), ("Type", json!("Customer")), ("Active__c", json!(true))],
    );
    set(&mut contacts, "22", &[("Active__c", json!(false))]);
    world.expect("Account", &accounts).await;
    world.expect("Contact", &contacts).await;
    world.expect("Order", &orders).await;
    assert_eq!(world.dead_letters(), [""; 0]);
}
