//! What an evaluated field costs: `cargo bench --bench evaluate`.
//!
//! The expressions of seven real mappings (Odoo, Magento, a shop with tills, Frappe, WooCommerce, Vendure, Shopware), over
//! rows as those systems write them: each one alone, from the packed cells of its columns to the value as it is sent.
//! Finding the cells, which a mapping does once for all its fields, is in every figure. The target is 300 ns in the
//! median.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use passerelle::mapping::Expression;
use passerelle_change::{CellsBuf, Column, ColumnId, Type};

/// How often each expression is timed; the median counts.
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(4);

/// A column: its name, its type, and its value in the row.
type Sample = (&'static str, fn() -> Type, Option<&'static str>);

/// A table's columns with the values of one row, and the expressions over it.
struct Table {
    columns: &'static [Sample],
    exprs: &'static [&'static str],
}

const TEXT: fn() -> Type = || Type::Text { max_chars: None };
const INT: fn() -> Type = || Type::Int;
const BOOL: fn() -> Type = || Type::Bool;
const NUMERIC: fn() -> Type = || Type::Decimal { precision: None };
const NAIVE: fn() -> Type = || Type::DateTime;
const DATE: fn() -> Type = || Type::Date;
const JSON: fn() -> Type = || Type::Json;
const BYTES: fn() -> Type = || Type::Bytes;

const TABLES: &[Table] = &[
    // res_partner
    Table {
        columns: &[
            ("id", INT, Some("48213")),
            ("name", TEXT, Some("Jean-Pierre Martin")),
            ("is_company", BOOL, Some("t")),
            ("customer_rank", INT, Some("3")),
            ("active", BOOL, Some("t")),
            ("type", TEXT, Some("contact")),
            ("additional_identifiers", JSON, Some(r#"{"siren": "732829320", "siret": "73282932000074"}"#)),
            ("vat", TEXT, Some("fr40303265045")),
            ("street", TEXT, Some("12 rue des Lilas")),
            ("street2", TEXT, None),
            ("city", TEXT, Some("Nîmes")),
            ("zip", TEXT, Some("30000")),
            ("phone", TEXT, Some("04 66 36 12 34")),
            ("email", TEXT, Some("jean-pierre.martin@example.fr")),
            ("parent_id", INT, Some("77")),
            ("commercial_partner_id", INT, Some("77")),
        ],
        exprs: &[
            "id",
            "is_company and customer_rank > 0",
            "not active",
            "name | truncate(255)",
            "additional_identifiers | json('siret')",
            "vat | upper",
            r"[street, street2] | concat('\n')",
            "city",
            "zip",
            "phone | phone('FR')",
            "parent_id",
            "not is_company and type == 'contact'",
            "name | person('first')",
            "name | person('last') | default('?')",
            "email | email",
            "commercial_partner_id if commercial_partner_id != id else none",
        ],
    },
    // sale_order
    Table {
        columns: &[
            ("id", INT, Some("90017")),
            ("name", TEXT, Some("S90017")),
            ("state", TEXT, Some("sale")),
            ("locked", BOOL, Some("f")),
            ("partner_id", INT, Some("48213")),
            ("date_order", NAIVE, Some("2024-06-30 23:30:00")),
            ("amount_untaxed", NUMERIC, Some("99.92")),
            ("amount_total", NUMERIC, Some("119.90")),
        ],
        exprs: &[
            "state in ['sale', 'done', 'cancel']",
            "not locked",
            "partner_id",
            "name",
            "date_order | date(zone='Europe/Paris')",
            "state",
            "amount_untaxed",
            "amount_total - amount_untaxed",
            "amount_total",
        ],
    },
    // customer_entity, newsletter_subscriber, sales_order, quote
    Table {
        columns: &[
            ("entity_id", INT, Some("1204")),
            ("is_active", INT, Some("1")),
            ("items_count", INT, Some("2")),
            ("email", TEXT, Some("Ada@Example.org")),
            ("firstname", TEXT, Some("ada")),
            ("lastname", TEXT, Some("Lovelace")),
            ("dob", TEXT, Some("1985-12-10")),
            ("gender", INT, Some("2")),
            ("subscriber_email", TEXT, Some("ada@example.org")),
            ("state", TEXT, Some("processing")),
            ("increment_id", TEXT, Some("000001204")),
            ("customer_lastname", TEXT, None),
            ("customer_email", TEXT, Some("ada@example.org")),
            ("base_grand_total", NUMERIC, Some("119.9000")),
            ("base_currency_code", TEXT, Some("EUR")),
            ("created_at", NAIVE, Some("2024-06-30 23:30:00")),
            ("updated_at", NAIVE, Some("2024-06-30 23:31:12")),
            ("grand_total", NUMERIC, Some("119.9000")),
        ],
        exprs: &[
            "is_active == 1",
            "email | email",
            "firstname | title",
            "lastname | upper",
            "dob | date",
            "gender",
            "subscriber_email | email",
            "'m2-' ~ entity_id",
            "state != 'new'",
            "increment_id ~ ' ' ~ (customer_lastname or customer_email)",
            "base_grand_total",
            "base_currency_code",
            "created_at | datetime",
            "is_active == 1 and items_count > 0",
            "grand_total",
            "updated_at | datetime",
        ],
    },
    // a shop's customers, and the cards of the tills
    Table {
        columns: &[
            ("deleted", INT, Some("0")),
            ("lastname", TEXT, Some("Lovelace")),
            ("newsletter", INT, Some("1")),
            ("N° carte", TEXT, Some("2000001204")),
            ("Nom", TEXT, Some("Lovelace")),
            ("Code postal", TEXT, Some("75001")),
        ],
        exprs: &[
            "deleted == 1",
            "lastname | upper",
            "newsletter",
            "row['N° carte']",
            "Nom | upper",
            "row['Code postal']",
        ],
    },
    // tabContact, tabCustomer, tabSales Order
    Table {
        columns: &[
            ("name", TEXT, Some("Ada Lovelace-Acme")),
            ("first_name", TEXT, Some("Ada")),
            ("last_name", TEXT, Some("")),
            ("unsubscribed", INT, Some("0")),
            ("disabled", INT, Some("0")),
            ("customer_name", TEXT, Some("Acme")),
            ("docstatus", INT, Some("1")),
            ("customer", TEXT, Some("Acme")),
            ("grand_total", NUMERIC, Some("119.900000000")),
            ("transaction_date", DATE, Some("2024-06-30")),
        ],
        exprs: &[
            "first_name",
            "last_name or first_name or name",
            "unsubscribed == 1",
            "disabled == 1",
            "customer_name",
            "docstatus >= 1",
            "customer",
            "grand_total",
            "transaction_date",
            "docstatus",
        ],
    },
    // users, wc_orders
    Table {
        columns: &[
            ("ID", INT, Some("1204")),
            ("user_registered", NAIVE, Some("2024-06-30 23:30:00")),
            ("type", TEXT, Some("shop_order")),
            ("status", TEXT, Some("wc-processing")),
            ("currency", TEXT, Some("EUR")),
        ],
        exprs: &[
            "user_registered | datetime",
            "'woo-' ~ ID",
            "type == 'shop_order'",
            "status == 'trash'",
            "currency",
            "status",
        ],
    },
    // order and customer of Vendure
    Table {
        columns: &[
            ("id", INT, Some("1204")),
            ("active", BOOL, Some("f")),
            ("orderPlacedAt", NAIVE, Some("2024-06-30 23:30:00.123")),
            ("type", TEXT, Some("Regular")),
            ("code", TEXT, Some("7Q2LBV5XH3")),
            ("customerId", INT, Some("12")),
            ("subTotalWithTax", INT, Some("11990")),
            ("shippingWithTax", INT, Some("500")),
            ("currencyCode", TEXT, Some("EUR")),
            (
                "shippingAddress",
                JSON,
                Some(
                    r#"{"fullName": "Ada Lovelace", "streetLine1": "12 rue des Lilas", "city": "Paris", "postalCode": "75001"}"#,
                ),
            ),
            ("deletedAt", NAIVE, None),
            ("firstName", TEXT, Some("Ada")),
            ("lastName", TEXT, Some("Lovelace")),
        ],
        exprs: &[
            "code",
            "not active and orderPlacedAt is not none and type != 'Seller'",
            "customerId",
            "(subTotalWithTax + shippingWithTax) | minor_units(currencyCode)",
            "currencyCode",
            "orderPlacedAt | date(zone='Europe/Paris')",
            "shippingAddress | json('city')",
            "'vd-' ~ id",
            "deletedAt is not none",
            "[firstName, lastName] | concat(' ')",
        ],
    },
    // customer and order of Shopware
    Table {
        columns: &[
            ("id", BYTES, Some("\\x0189f3c1a2b34c5d8e9fa0b1c2d3e4f5")),
            ("version_id", BYTES, Some("\\x0fa91ce3e96a4bc2be4bd9ce752c3425")),
            ("guest", BOOL, Some("f")),
            ("vat_ids", JSON, Some(r#"["FR40303265045"]"#)),
            (
                "price",
                JSON,
                Some(
                    r#"{"netPrice": 99.92, "totalPrice": 119.90, "calculatedTaxes": [{"tax": 19.98, "taxRate": 20}]}"#,
                ),
            ),
        ],
        exprs: &[
            "id | hex",
            "not guest",
            "vat_ids | json(0)",
            "version_id | hex == '0fa91ce3e96a4bc2be4bd9ce752c3425'",
            "price | json('totalPrice')",
        ],
    },
];

fn main() -> Result<()> {
    let mut figures = Vec::new();
    for table in TABLES {
        for expr in table.exprs {
            figures.push((timed(table, expr)?, *expr));
        }
    }
    figures.sort_unstable();
    println!("evaluate: {} expressions, ns of each, {ROUNDS} rounds, the median", figures.len());
    for (nanos, expr) in &figures {
        println!("{nanos:>7}  {expr}");
    }
    let of = |per_cent: usize| figures[figures.len() * per_cent / 100].0;
    println!("median {} ns (target 300), 90th percentile {} ns", of(50), of(90));
    Ok(())
}

/// The median of the rounds, in nanoseconds for one evaluation.
fn timed(table: &Table, text: &str) -> Result<u128> {
    let columns: Vec<_> = table.columns.iter().enumerate().map(column).collect();
    let expr = Expression::compile(text, &columns, "UTC").map_err(|faults| anyhow!("{text}: {faults:?}"))?;
    // Of a row, its own columns: what stands beside them is one mapping's affair, not one field's.
    let mut row = CellsBuf::new();
    for ((name, _, value), column) in table.columns.iter().zip(&columns) {
        if passerelle::mapping::columns(text).is_ok_and(|used| used.contains(*name)) {
            row.push(column.id, value.map(str::as_bytes));
        }
    }
    let run = || expr.field(black_box(row.as_cells()));
    run().map_err(|reason| anyhow!("{text}: {reason}"))?;
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            let mut times = 0_u128;
            while begun.elapsed() < ROUND {
                for _ in 0..64 {
                    let _ = black_box(run());
                }
                times += 64;
            }
            begun.elapsed().as_nanos() / times
        })
        .collect();
    rounds.sort_unstable();
    Ok(rounds[ROUNDS / 2])
}

fn column((at, (name, ty, _)): (usize, &Sample)) -> Column {
    let ty = ty();
    Column { id: ColumnId(at as u32 + 1), name: (*name).to_owned(), type_name: format!("{ty:?}"), ty, nullable: true }
}
