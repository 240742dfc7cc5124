//! Odoo: one table for companies and people, an archive, orders that become final, and what the tables beside them say.

use serde_json::json;

use super::{Shipped, after, set, user};
use crate::records::{given, points_at};

const ODOO: Shipped = Shipped {
    source: "odoo",
    config: include_str!("../../../examples/odoo.toml"),
    sql: include_str!("odoo.sql"),
    prefix: "",
    shortened: &[],
    users: &["marc.demo@acme.example", "eva@acme.example"],
};

#[tokio::test(flavor = "multi_thread")]
async fn companies_people_and_orders_of_odoo() {
    let world = ODOO.on_postgres().await;
    let (marc, eva) = (user(&world, "marc.demo@acme.example"), user(&world, "eva@acme.example"));
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
                ("BillingCountryCode", json!("FR")),
                ("Phone", json!("+33493133700")),
                ("OwnerId", json!(marc)),
                // Its own and its people's; the one in dollars at its rate, the quotation and the cancelled one not.
                ("Last_Order__c", json!("2091-07-01")),
                ("Last_Order_No__c", json!("S00001")),
                ("Orders_12m__c", json!(1)),
                ("Revenue__c", json!(1540.0)),
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
                ("BillingCountryCode", json!("FR")),
                ("ParentId", json!(points_at("10"))),
                ("Orders_12m__c", json!(0)),
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
                ("MailingCountryCode", json!("FR")),
                ("HasOptedOutOfEmail", json!(false)),
                ("AccountId", json!(points_at("10"))),
            ],
        ),
        (
            "21",
            &[
                ("FirstName", json!("Ada")),
                ("LastName", json!("de Lovelace")),
                ("Active__c", json!(true)),
                ("MailingCountryCode", json!("BE")),
                ("HasOptedOutOfEmail", json!(false)),
            ],
        ),
        // Of a supplier, which has no account.
        ("22", &[("LastName", json!("Cher")), ("Active__c", json!(true)), ("HasOptedOutOfEmail", json!(false))]),
    ]);
    let mut orders = given([
        (
            "1",
            &[
                ("AccountId", json!(points_at("10"))),
                ("OrderReferenceNumber", json!("S00001")),
                ("EffectiveDate", json!("2091-07-01")),
                ("Status", json!("Activated")),
                ("CurrencyIsoCode", json!("EUR")),
                ("Amount_Untaxed__c", json!(1200.0)),
                ("Amount_Tax__c", json!(240.0)),
                ("Amount_Total__c", json!(1440.0)),
            ],
        ),
        (
            "2",
            &[
                // Of a person, and so of the company.
                ("AccountId", json!(points_at("10"))),
                ("BillToContactId", json!(points_at("20"))),
                ("OrderReferenceNumber", json!("S00002")),
                ("EffectiveDate", json!("2021-02-01")),
                ("Status", json!("Activated")),
                ("CurrencyIsoCode", json!("USD")),
                ("Amount_Untaxed__c", json!(100.0)),
                ("Amount_Tax__c", json!(20.0)),
                ("Amount_Total__c", json!(120.0)),
            ],
        ),
        (
            "4",
            &[
                ("AccountId", json!(points_at("10"))),
                ("OrderReferenceNumber", json!("S00004")),
                ("EffectiveDate", json!("2026-05-04")),
                ("Status", json!("Cancelled")),
                ("CurrencyIsoCode", json!("EUR")),
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
    world.mark();

    // A quotation is confirmed. Odoo writes the whole row, and write_date with every change.
    after(
        &world,
        "update sale_order set state = 'sale', date_order = '2091-07-02 22:15:00', write_date = now() where id = 3",
    )
    .await;
    set(
        &mut orders,
        "3",
        &[
            ("AccountId", json!(points_at("10"))),
            ("OrderReferenceNumber", json!("S00003")),
            ("EffectiveDate", json!("2091-07-03")),
            ("Status", json!("Activated")),
            ("CurrencyIsoCode", json!("EUR")),
            ("Amount_Untaxed__c", json!(99.9)),
            ("Amount_Tax__c", json!(19.98)),
            ("Amount_Total__c", json!(119.88)),
        ],
    );
    world.expect("Order", &orders).await;
    let writes = world.writes();
    let (of_order, others): (Vec<_>, Vec<_>) = writes.iter().partition(|write| write.contains(" Order 3 "));
    assert!(
        of_order.len() == 2
            && of_order[0].starts_with("created Order 3")
            && of_order[1] == "updated Order 3 Status=\"Activated\"",
        "{writes:?}"
    );
    let figures = "Last_Order_No__c=\"S00003\" Last_Order__c=\"2091-07-03\" Orders_12m__c=2 Revenue__c=1659.88";
    assert_eq!(others, [&format!("updated Account 10 {figures}")]);

    // It goes to a person of that company, gets a line, and is cancelled: the account's figures are what they were.
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

    world.expect("Account", &accounts).await;

    // What no field is made of costs no call.
    after(
        &world,
        "update res_partner set write_date = now(), write_uid = 2, color = 4, website = 'x.example';
         update res_country set name = '{\"en_US\": \"France (FR)\"}'; update res_users set active = true;
         update sale_order set write_date = now(), invoice_status = 'invoiced'",
    )
    .await;
    assert_eq!(world.writes(), [""; 0]);

    // A country's code is put right, and right again: of every partner there.
    for (code, write) in [("GP", "CountryCode=\"GP\""), ("FR", "CountryCode=\"FR\"")] {
        after(&world, &format!("update res_country set code = '{code}' where id = 75")).await;
        let mut writes = world.writes();
        writes.sort_unstable();
        let of = |record: &str| format!("updated {record}{write}");
        let expected = ["Account 10 Billing", "Account 11 Billing", "Contact 20 Mailing"].map(of);
        assert_eq!(writes, expected);
    }

    // He wants no more mails; then he does.
    after(&world, "insert into mail_blacklist (id, email, active) values (3, 'jp.martin@azur.example', true)").await;
    assert_eq!(world.writes(), ["updated Contact 20 HasOptedOutOfEmail=true"]);
    after(&world, "update mail_blacklist set active = false where id = 3").await;
    assert_eq!(world.writes(), ["updated Contact 20 HasOptedOutOfEmail=false"]);

    // Another salesman for it, and one whom the CRM does not know: the owner stays.
    after(&world, "update res_users set login = 'eva@acme.example' where id = 6").await;
    assert_eq!(world.writes(), [format!("updated Account 10 OwnerId=\"{eva}\"")]);
    after(&world, "update res_partner set user_id = 2 where id = 10").await;
    assert_eq!(world.writes(), [""; 0]);
    set(&mut accounts, "10", &[("OwnerId", json!(eva))]);

    // An order goes to the company in Lyon: both have other figures.
    after(&world, "update sale_order set partner_id = 11 where id = 1").await;
    set(&mut orders, "1", &[("AccountId", json!(points_at("11")))]);
    set(
        &mut accounts,
        "10",
        &[
            ("Last_Order__c", json!("2021-02-01")),
            ("Last_Order_No__c", json!("S00002")),
            ("Orders_12m__c", json!(0)),
            ("Revenue__c", json!(100.0)),
        ],
    );
    set(
        &mut accounts,
        "11",
        &[
            ("Last_Order__c", json!("2091-07-01")),
            ("Last_Order_No__c", json!("S00001")),
            ("Orders_12m__c", json!(1)),
            ("Revenue__c", json!(1440.0)),
        ],
    );
    world.expect("Order", &orders).await;
    world.expect("Account", &accounts).await;
    // Its person leaves for Lyon, and the order in dollars with him: a change of neither order nor company.
    after(&world, "update res_partner set parent_id = 11, commercial_partner_id = 11 where id = 20").await;
    set(&mut contacts, "20", &[("AccountId", json!(points_at("11")))]);
    for order in ["2", "3"] {
        set(&mut orders, order, &[("AccountId", json!(points_at("11")))]);
    }
    set(
        &mut accounts,
        "10",
        &[("Last_Order__c", json!(null)), ("Last_Order_No__c", json!(null)), ("Revenue__c", json!(null))],
    );
    set(&mut accounts, "11", &[("Revenue__c", json!(1540.0))]);
    world.expect("Order", &orders).await;
    world.expect("Account", &accounts).await;
    world.expect("Contact", &contacts).await;

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
            ("Orders_12m__c", json!(0)),
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
            ("HasOptedOutOfEmail", json!(false)),
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
            ("HasOptedOutOfEmail", json!(false)),
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
            ("BillingCountryCode", json!("FR")),
            ("Orders_12m__c", json!(0)),
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
        &[
            ("Name", json!("Lovelace SARL")),
            ("Type", json!("Customer")),
            ("Active__c", json!(true)),
            ("BillingCountryCode", json!("BE")),
            ("Orders_12m__c", json!(0)),
        ],
    );
    set(&mut contacts, "22", &[("Active__c", json!(false))]);
    world.expect("Account", &accounts).await;
    world.expect("Contact", &contacts).await;
    world.expect("Order", &orders).await;
    assert_eq!(world.dead_letters(), [""; 0]);
}
