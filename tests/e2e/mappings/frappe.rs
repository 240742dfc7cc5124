//! Frappe: names of tables with blanks, keys that people rename, documents that are submitted, cancelled and amended, and rows of
//! documents that are written again at every save.

use serde_json::json;

use super::{Shipped, after, set};
use crate::records::{given, points_at};

const FRAPPE: Shipped = Shipped {
    source: "erpnext",
    config: include_str!("../../../examples/frappe.toml"),
    sql: include_str!("frappe.sql"),
    prefix: "",
    shortened: &[],
    users: &[],
};

#[tokio::test(flavor = "multi_thread")]
async fn customers_contacts_and_orders_of_erpnext() {
    let world = FRAPPE.on_mariadb().await;
    let mut accounts = given([
        (
            "Grant Plastics Ltd.",
            &[
                ("Name", json!("Grant Plastics Ltd.")),
                ("Type", json!("Business")),
                ("Active__c", json!(true)),
                ("BillingStreet", json!("12 rue de la Paix\nEscalier B")),
                ("BillingPostalCode", json!("75002")),
                ("BillingCity", json!("Paris")),
                ("BillingCountryCode", json!("FR")),
            ],
        ),
        ("CUST-2026-00001", &[("Name", json!("Zoé Müller")), ("Type", json!("Person")), ("Active__c", json!(true))]),
    ]);
    let mut contacts = given([
        (
            "Mark-Grant Plastics Ltd.",
            &[
                ("FirstName", json!("Mark")),
                ("LastName", json!("Jones")),
                ("AccountId", json!(points_at("Grant Plastics Ltd."))),
                ("Email", json!("mark@grant.example")),
                ("All_Emails__c", json!("jones@home.example;mark@Grant.example")),
                ("Phone", json!("+33142685300")),
                ("HasOptedOutOfEmail", json!(false)),
            ],
        ),
        (
            "Zoé",
            &[
                ("FirstName", json!("Zoé")),
                ("LastName", json!("Zoé")),
                ("AccountId", json!(points_at("CUST-2026-00001"))),
                ("MobilePhone", json!("+4930901820")),
                ("HasOptedOutOfEmail", json!(true)),
            ],
        ),
        (
            "accounts@grant.example",
            &[
                ("LastName", json!("accounts@grant.example")),
                ("Email", json!("accounts@grant.example")),
                ("All_Emails__c", json!("accounts@grant.example")),
                ("HasOptedOutOfEmail", json!(false)),
            ],
        ),
    ]);
    let mut orders = given([(
        "SAL-ORD-2026-00001",
        &[
            ("AccountId", json!(points_at("Grant Plastics Ltd."))),
            ("BillToContactId", json!(points_at("Mark-Grant Plastics Ltd."))),
            ("EffectiveDate", json!("2026-02-03")),
            ("Amount_Total__c", json!(1234.567)),
            ("CurrencyIsoCode", json!("EUR")),
            ("Status", json!("Activated")),
        ],
    )]);
    world.expect("Account", &accounts).await;
    world.expect("Contact", &contacts).await;
    world.expect("Order", &orders).await;
    world.mark();

    // Every save writes `modified`, and a comment writes `_comments`.
    after(
        &world,
        r#"update `tabCustomer` set modified = now(), modified_by = 'me', _comments = '[{"comment": "hello"}]';
           update `tabSales Order` set modified = now(), status = 'To Bill', per_delivered = 100"#,
    )
    .await;
    assert_eq!(world.writes(), [""; 0]);
    // A contact is saved: each row of its tables is written again, and some versions delete them first.
    after(
        &world,
        "update `tabContact` set modified = now() where name like 'Mark%';
         update `tabContact Email` set modified = now(), modified_by = 'me' where parent like 'Mark%';
         create temporary table kept as select * from `tabContact Phone`;
         start transaction; delete from `tabContact Phone`; insert into `tabContact Phone` select * from kept; commit",
    )
    .await;
    assert_eq!(world.writes(), [""; 0]);
    // Another primary address, a number that is no more, and a third mail; a country's code.
    after(
        &world,
        "start transaction; update `tabContact Email` set is_primary = 1 - is_primary where parent like 'Mark%';
         insert into `tabContact Email` (name, idx, parent, parentfield, parenttype, email_id)
             values ('e4', 3, 'Mark-Grant Plastics Ltd.', 'email_ids', 'Contact', 'mj@grant.example');
         delete from `tabContact Phone` where name = 'p2'; commit",
    )
    .await;
    let mails = "All_Emails__c=\"jones@home.example;mark@Grant.example;mj@grant.example\" Email=\"jones@home.example\"";
    let saved = format!("updated Contact Mark-Grant Plastics Ltd. {mails} Phone=\"+33142685301\"");
    assert_eq!(world.writes(), [saved]);
    set(
        &mut contacts,
        "Mark-Grant Plastics Ltd.",
        &[
            ("Email", json!("jones@home.example")),
            ("All_Emails__c", json!("jones@home.example;mark@Grant.example;mj@grant.example")),
            ("Phone", json!("+33142685301")),
        ],
    );
    after(
        &world,
        "update `tabAddress` set country = 'Germany', city = 'Kehl', pincode = '77694' where name = 'Grant Plastics Ltd.-Billing'",
    )
    .await;
    let kehl = "BillingCity=\"Kehl\" BillingCountryCode=\"DE\" BillingPostalCode=\"77694\"";
    assert_eq!(world.writes(), [format!("updated Account Grant Plastics Ltd. {kehl}")]);
    after(&world, "update `tabCustomer` set customer_primary_address = 'Grant Plastics Ltd.-Shipping' where customer_primary_address <> ''").await;
    set(
        &mut accounts,
        "Grant Plastics Ltd.",
        &[("BillingStreet", json!("ZI Nord")), ("BillingPostalCode", json!("95000")), ("BillingCity", json!("Cergy"))],
    );
    world.expect("Account", &accounts).await;
    world.expect("Contact", &contacts).await;
    // The contact goes to another customer.
    after(&world, "update `tabDynamic Link` set link_name = 'CUST-2026-00001' where name = 'l2'").await;
    set(&mut contacts, "Mark-Grant Plastics Ltd.", &[("AccountId", json!(points_at("CUST-2026-00001")))]);
    world.expect("Contact", &contacts).await;
    after(&world, "update `tabDynamic Link` set link_name = 'Grant Plastics Ltd.' where name = 'l2'").await;
    world.mark();

    // Renaming a document: its key, and every link to it, in one transaction.
    let grant = world.crm().record("Account", "Erp_Id__c", "Grant Plastics Ltd.").unwrap().id;
    after(
        &world,
        "start transaction; update `tabCustomer` set name = 'Grant Polymers SA', customer_name = 'Grant Polymers SA' where name = 'Grant Plastics Ltd.';
           update `tabSales Order` set customer = 'Grant Polymers SA' where customer = 'Grant Plastics Ltd.';
           update `tabContact` set name = 'Mark-Grant Polymers SA' where name = 'Mark-Grant Plastics Ltd.';
           update `tabSales Order` set contact_person = 'Mark-Grant Polymers SA' where contact_person = 'Mark-Grant Plastics Ltd.';
           update `tabDynamic Link` set link_name = 'Grant Polymers SA' where link_doctype = 'Customer' and link_name = 'Grant Plastics Ltd.';
           update `tabDynamic Link` set parent = 'Mark-Grant Polymers SA' where parent = 'Mark-Grant Plastics Ltd.';
           update `tabContact Email` set parent = 'Mark-Grant Polymers SA' where parent = 'Mark-Grant Plastics Ltd.';
           update `tabContact Phone` set parent = 'Mark-Grant Polymers SA' where parent = 'Mark-Grant Plastics Ltd.'; commit",
    )
    .await;
    let renamed = accounts.remove("Grant Plastics Ltd.").unwrap();
    accounts.insert("Grant Polymers SA".to_owned(), renamed);
    set(&mut accounts, "Grant Polymers SA", &[("Name", json!("Grant Polymers SA"))]);
    let mark = contacts.remove("Mark-Grant Plastics Ltd.").unwrap();
    contacts.insert("Mark-Grant Polymers SA".to_owned(), mark);
    set(&mut contacts, "Mark-Grant Polymers SA", &[("AccountId", json!(points_at("Grant Polymers SA")))]);
    set(
        &mut orders,
        "SAL-ORD-2026-00001",
        &[
            ("AccountId", json!(points_at("Grant Polymers SA"))),
            ("BillToContactId", json!(points_at("Mark-Grant Polymers SA"))),
        ],
    );
    world.expect("Account", &accounts).await;
    world.expect("Contact", &contacts).await;
    world.expect("Order", &orders).await;
    let polymers = world.crm().record("Account", "Erp_Id__c", "Grant Polymers SA").unwrap().id;
    assert_eq!(polymers, grant, "the record is the same and has its history");
    let writes = world.writes();
    assert!(writes.iter().all(|write| write.starts_with("updated ")), "{writes:?}");

    // An order is submitted; the first one is cancelled and amended.
    after(
        &world,
        "update `tabSales Order` set docstatus = 1, status = 'To Deliver' where name = 'SAL-ORD-2026-00002';
           update `tabSales Order` set docstatus = 2, status = 'Cancelled' where name = 'SAL-ORD-2026-00001';
           insert into `tabSales Order` (name, customer, transaction_date, currency, grand_total, docstatus, contact_person, amended_from)
               values ('SAL-ORD-2026-00001-1', 'Grant Polymers SA', '2026-02-10', 'EUR', 1000, 1, 'Zoé', 'SAL-ORD-2026-00001')",
    )
    .await;
    set(&mut orders, "SAL-ORD-2026-00001", &[("Status", json!("Cancelled"))]);
    set(
        &mut orders,
        "SAL-ORD-2026-00001-1",
        &[
            ("AccountId", json!(points_at("Grant Polymers SA"))),
            ("BillToContactId", json!(points_at("Zoé"))),
            ("EffectiveDate", json!("2026-02-10")),
            ("Amount_Total__c", json!(1000.0)),
            ("CurrencyIsoCode", json!("EUR")),
            ("Status", json!("Activated")),
            ("Replaces__c", json!(points_at("SAL-ORD-2026-00001"))),
        ],
    );
    set(
        &mut orders,
        "SAL-ORD-2026-00002",
        &[
            ("AccountId", json!(points_at("CUST-2026-00001"))),
            ("EffectiveDate", json!("2026-02-04")),
            ("Amount_Total__c", json!(12000.0)),
            ("CurrencyIsoCode", json!("JPY")),
            ("Status", json!("Activated")),
        ],
    );
    world.expect("Order", &orders).await;

    // A customer is disabled, another enabled, a contact leaves the newsletter, another is deleted.
    after(
        &world,
        "update `tabCustomer` set disabled = 1 where name = 'CUST-2026-00001';
           update `tabCustomer` set disabled = 0 where name = 'West View Software Ltd.';
           update `tabContact` set unsubscribed = 1, email_id = '' where name = 'Mark-Grant Polymers SA';
           delete from `tabContact Email` where parent = 'Mark-Grant Polymers SA';
           delete from `tabContact` where name = 'accounts@grant.example'; delete from `tabContact Email` where parent = 'accounts@grant.example'",
    )
    .await;
    set(&mut accounts, "CUST-2026-00001", &[("Active__c", json!(false))]);
    set(
        &mut accounts,
        "West View Software Ltd.",
        &[("Name", json!("West View Software Ltd.")), ("Type", json!("Business")), ("Active__c", json!(true))],
    );
    set(
        &mut contacts,
        "Mark-Grant Polymers SA",
        &[("HasOptedOutOfEmail", json!(true)), ("Email", json!(null)), ("All_Emails__c", json!(null))],
    );
    contacts.remove("accounts@grant.example");
    world.expect("Account", &accounts).await;
    world.expect("Contact", &contacts).await;
    world.expect("Order", &orders).await;
    assert_eq!(world.dead_letters(), [""; 0]);
}
