//! Vendure: whole numbers of the smallest unit, camel case, a table called `order`, carts, values that the log leaves out, and a country
//! two tables away.

use serde_json::json;

use super::{Shipped, after, set};
use crate::records::{given, points_at};

const VENDURE: Shipped = Shipped {
    source: "vendure",
    config: include_str!("../../../examples/vendure.toml"),
    sql: include_str!("vendure.sql"),
    prefix: "",
    shortened: &[],
    users: &[],
};

#[tokio::test(flavor = "multi_thread")]
async fn customers_and_placed_orders_of_vendure() {
    let world = VENDURE.on_postgres().await;
    let mut accounts = given([
        (
            "vd-1",
            &[
                ("Name", json!("Ms. Hayden Zieme")),
                ("Active__c", json!(true)),
                ("Email__c", json!("hayden@example.com")),
                ("Phone", json!("+33612345678")),
                ("BillingStreet", json!("12 bd Gambetta\nAppt. 3")),
                ("BillingPostalCode", json!("30900")),
                ("BillingCity", json!("Nîmes")),
                ("BillingCountryCode", json!("FR")),
                ("Loyalty__c", json!("L-0001")),
            ],
        ),
        (
            "vd-2",
            &[
                ("Name", json!("Trevor Donnelly")),
                ("Active__c", json!(true)),
                ("Email__c", json!("trevor@example.com")),
            ],
        ),
    ]);
    let mut orders = given([
        (
            "T_1ABCDE",
            &[
                ("AccountId", json!(points_at("vd-1"))),
                ("Amount_Untaxed__c", json!(104.07)),
                ("Amount_Total__c", json!(124.88)),
                ("CurrencyIsoCode", json!("EUR")),
                ("EffectiveDate", json!("2026-03-01")),
                ("ShippingCity", json!("Nîmes")),
                ("ShippingPostalCode", json!("30000")),
                ("Status", json!("Activated")),
            ],
        ),
        (
            "T_2ABCDE",
            &[
                ("AccountId", json!(points_at("vd-2"))),
                ("Amount_Untaxed__c", json!(120_000.0)),
                ("Amount_Total__c", json!(132_000.0)),
                ("CurrencyIsoCode", json!("JPY")),
                ("EffectiveDate", json!("2026-03-01")),
                ("ShippingCity", json!("東京")),
                ("Status", json!("Activated")),
            ],
        ),
        (
            "T_3ABCDE",
            &[
                ("Amount_Untaxed__c", json!(12.345)),
                ("Amount_Total__c", json!(12.345)),
                ("CurrencyIsoCode", json!("KWD")),
                ("EffectiveDate", json!("2026-03-01")),
                ("Status", json!("Draft")),
            ],
        ),
    ]);
    world.expect("Account", &accounts).await;
    world.expect("Order", &orders).await;
    world.mark();

    // An address becomes the default one, with its country and telephone; another gives it up to its neighbour; a country's code.
    after(&world, r#"update address set "defaultBillingAddress" = true, "updatedAt" = now() where id = 3"#).await;
    let address =
        "BillingCity=\"Wien\" BillingCountryCode=\"AT\" BillingPostalCode=\"1020\" BillingStreet=\"Praterstraße 1\"";
    assert_eq!(world.writes(), [format!("updated Account vd-2 {address} Phone=\"+4315130100\"")]);
    after(&world, r#"update address set "defaultBillingAddress" = not "defaultBillingAddress" where "customerId" = 1"#)
        .await;
    assert_eq!(world.writes(), ["updated Account vd-1 BillingPostalCode=\"30000\" BillingStreet=\"9 rue Nationale\""]);
    after(
        &world,
        r#"update region set enabled = false where id = 1; update region set code = 'XK' where id = 2;
           update address set "streetLine1" = 'Elsewhere' where id = 2"#,
    )
    .await;
    assert_eq!(world.writes(), ["updated Account vd-2 BillingCountryCode=\"XK\""]);
    // An address changes hands; both customers are told.
    after(&world, r#"update region set code = 'AT' where id = 2; update address set "customerId" = 2 where id = 1"#)
        .await;
    set(
        &mut accounts,
        "vd-1",
        &[
            ("BillingStreet", json!(null)),
            ("BillingPostalCode", json!(null)),
            ("BillingCity", json!(null)),
            ("BillingCountryCode", json!(null)),
        ],
    );
    set(
        &mut accounts,
        "vd-2",
        &[
            ("BillingStreet", json!("9 rue Nationale")),
            ("BillingPostalCode", json!("30000")),
            ("BillingCity", json!("Nîmes")),
            ("BillingCountryCode", json!("FR")),
            ("Phone", json!(null)),
        ],
    );
    world.expect("Account", &accounts).await;
    world.mark();

    // The log leaves the long address out: the city stays as it is.
    after(&world, r#"update "order" set state = 'Delivered', "updatedAt" = now() where id = 1"#).await;
    assert_eq!(world.writes(), [""; 0], "settled and delivered are both active");
    after(&world, r#"update "order" set "shippingWithTax" = 0, shipping = 0 where id = 1"#).await;
    set(&mut orders, "T_1ABCDE", &[("Amount_Untaxed__c", json!(99.9)), ("Amount_Total__c", json!(119.88))]);
    world.expect("Order", &orders).await;
    after(&world, r#"update "order" set "shippingAddress" = '{"city": "Arles"}' where id = 1"#).await;
    set(&mut orders, "T_1ABCDE", &[("ShippingCity", json!("Arles")), ("ShippingPostalCode", json!(null))]);
    world.expect("Order", &orders).await;

    // A cart goes through the checkout: a change of each step, none of them for the CRM but the last.
    world.mark();
    after(&world, r#"update "order" set state = 'ArrangingPayment' where id = 5"#).await;
    assert_eq!(world.writes(), [""; 0]);
    after(
        &world,
        r#"update "order" set state = 'PaymentSettled', active = false, "orderPlacedAt" = '2026-06-30 21:59:59.999', "customerId" = 1 where id = 5"#,
    )
    .await;
    set(
        &mut orders,
        "T_5ABCDE",
        &[
            ("AccountId", json!(points_at("vd-1"))),
            ("Amount_Untaxed__c", json!(1.0)),
            ("Amount_Total__c", json!(1.2)),
            ("CurrencyIsoCode", json!("EUR")),
            ("EffectiveDate", json!("2026-06-30")),
            ("Status", json!("Activated")),
        ],
    );
    world.expect("Order", &orders).await;

    // Modified: the order is a draft until it is paid again. Another is cancelled, a third finds its customer.
    after(
        &world,
        r#"update "order" set state = 'Modifying' where id = 2;
           update "order" set state = 'Cancelled' where id = 1;
           update "order" set "customerId" = 2 where id = 3"#,
    )
    .await;
    set(&mut orders, "T_2ABCDE", &[("Status", json!("Draft"))]);
    set(&mut orders, "T_1ABCDE", &[("Status", json!("Cancelled"))]);
    set(&mut orders, "T_3ABCDE", &[("AccountId", json!(points_at("vd-2")))]);
    world.expect("Order", &orders).await;

    // Deleted softly, and restored under another name; the number of a loyalty card that is too long is cut.
    after(&world, r#"update customer set "deletedAt" = now() where id = 2"#).await;
    set(&mut accounts, "vd-2", &[("Active__c", json!(false))]);
    world.expect("Account", &accounts).await;
    after(
        &world,
        r#"update customer set "deletedAt" = null, "lastName" = 'O''Donnelly', "customFieldsLoyaltyid" = repeat('9', 60) where id = 2"#,
    )
    .await;
    set(
        &mut accounts,
        "vd-2",
        &[
            ("Active__c", json!(true)),
            ("Name", json!("Trevor O'Donnelly")),
            ("Loyalty__c", json!("9999999999999999999999999999999999999999")),
        ],
    );
    world.expect("Account", &accounts).await;
    world.expect("Order", &orders).await;
    assert_eq!(world.dead_letters(), [""; 0]);
}
