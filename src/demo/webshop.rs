//! The web shop: a private MariaDB with the products, and what people do in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use passerelle_test_servers::MariadbServer;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

const PRODUCTS: u32 = 80;
const KINDS: [&str; 3] = ["tea", "coffee", "chocolate"];
const NAMES: [&str; 12] = [
    "Café Crème",
    "Señorita",
    "Für Elise",
    "Matinée",
    "Grüner Hügel",
    "São Bento",
    "Crème de la Crème",
    "Belle Époque",
    "Noël",
    "Piñata",
    "Étoile",
    "Jalapeño",
];

/// A product that was changed.
#[derive(Clone, Debug)]
pub(super) struct Product {
    /// The row's key.
    pub(super) id: i64,
    /// Its name.
    pub(super) name: String,
    /// Its price, as text.
    pub(super) price: String,
}

/// The web shop.
pub(super) struct WebShop {
    server: Arc<MariadbServer>,
    rng: StdRng,
    /// Rows changed so far, the first ones not counted.
    pub(super) rows: u64,
    /// Transactions committed so far, the first ones not counted.
    pub(super) transactions: u64,
}

impl WebShop {
    /// Starts the server and fills the table.
    pub(super) async fn open() -> Result<Self> {
        let server = tokio::task::spawn_blocking(|| {
            let server = MariadbServer::start()?;
            server.sql("", "create database webshop")?;
            server.sql("webshop", include_str!("webshop.sql"))?;
            anyhow::Ok(Arc::new(server))
        })
        .await??;
        // The same story each time.
        let mut shop = Self { server, rng: StdRng::seed_from_u64(11), rows: 0, transactions: 0 };
        let values: Vec<String> = (0..PRODUCTS).map(|number| shop.values(number)).collect();
        shop.sql(&format!("insert into product ({COLUMNS}) values {}", values.join(", "))).await?;
        Ok(shop)
    }

    /// The port of its server on 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        self.server.port()
    }

    /// The version of its server, as it says it.
    pub(super) async fn version(&self) -> Result<String> {
        self.sql("select substring_index(version(), '-', 1)").await
    }

    /// How many products there are.
    pub(super) async fn size(&self) -> Result<i64> {
        Ok(self.sql("select count(*) from product").await?.parse()?)
    }

    /// A new product.
    pub(super) async fn list(&mut self) -> Result<Product> {
        let number = self.rng.random_range(1_000..10_000);
        let values = self.values(number);
        let insert = format!("insert into product ({COLUMNS}) values {values} returning id, name, price");
        let added = self.sql(&insert).await?;
        self.changed(1);
        product(&added)
    }

    /// A product has another price.
    pub(super) async fn reprice(&mut self) -> Result<Product> {
        let id = self.one().await?;
        let cents: u32 = self.rng.random_range(300..9_000);
        self.update(id, &format!("price = {cents} / 100")).await
    }

    /// A product is for sale no more, or again.
    pub(super) async fn withdraw(&mut self) -> Result<Product> {
        let id = self.one().await?;
        self.update(id, "for_sale = not for_sale").await
    }

    /// Everything of a kind costs a tenth less, in one transaction: the kind, and the products.
    pub(super) async fn sale(&mut self) -> Result<(&'static str, Vec<i64>)> {
        let kind = *KINDS.choose(&mut self.rng).unwrap_or(&KINDS[0]);
        let sold = format!("where kind = '{kind}'");
        let ids = self.sql(&format!("begin; select id from product {sold} for update; update product set price = round(price * 0.9, 2) {sold}; commit")).await?;
        let ids: Vec<i64> = ids.lines().map(str::parse).collect::<Result<_, _>>()?;
        self.changed(ids.len() as u64);
        Ok((kind, ids))
    }

    /// What the CRM should hold of each product: its fields, as JSON, by key.
    pub(super) async fn expected(&self) -> Result<BTreeMap<String, String>> {
        let rows = self
            .sql(
                "select id, json_object('Name', name, 'ProductCode', sku, 'Family', kind, 'Price__c', price,
                        'IsActive', if(for_sale, json_extract('true', '$'), json_extract('false', '$')),
                        'Description', description) from product",
            )
            .await?;
        let parted = |row: &str| {
            let (id, fields) = row.split_once('\t').context("a key and fields")?;
            // The client doubles the backslashes of what it prints.
            Ok((id.to_owned(), fields.replace("\\\\", "\\")))
        };
        rows.lines().map(parted).collect()
    }

    async fn one(&mut self) -> Result<i64> {
        let salt: u32 = self.rng.random();
        Ok(self.sql(&format!("select id from product order by md5(concat(id, {salt})) limit 1")).await?.parse()?)
    }

    async fn update(&mut self, id: i64, set: &str) -> Result<Product> {
        let change =
            format!("update product set {set} where id = {id}; select id, name, price from product where id = {id}");
        let changed = self.sql(&change).await?;
        self.changed(1);
        product(&changed)
    }

    fn values(&mut self, number: u32) -> String {
        let (name, kind) =
            (NAMES.choose(&mut self.rng).unwrap_or(&NAMES[0]), KINDS.choose(&mut self.rng).unwrap_or(&KINDS[0]));
        let cents: u32 = self.rng.random_range(300..9_000);
        format!("('W-{number:04}', '{name} {number}', '{kind}', {cents} / 100, '{name}, as {kind}.\\nSince 1871.')")
    }

    async fn sql(&self, sql: &str) -> Result<String> {
        let (server, sql) = (Arc::clone(&self.server), sql.to_owned());
        tokio::task::spawn_blocking(move || server.sql("webshop", &sql)).await?
    }

    fn changed(&mut self, rows: u64) {
        self.rows += rows;
        self.transactions += 1;
    }
}

const COLUMNS: &str = "sku, name, kind, price, description";

fn product(row: &str) -> Result<Product> {
    let mut parts = row.split('\t');
    let mut part = || parts.next().context("a column of a product");
    Ok(Product { id: part()?.parse()?, name: part()?.to_owned(), price: part()?.to_owned() })
}
