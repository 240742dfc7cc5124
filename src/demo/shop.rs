//! The shop: a private PostgreSQL with customers and orders, and what people do in it.

use anyhow::Result;
use passerelle_test_servers::PgServer;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_postgres::Client;

use super::people::{self, Address, Person};

const COMPANIES: i64 = 60;
const PEOPLE: i64 = 240;
const ORDERS: i64 = 300;

/// A customer who is a person.
#[derive(Clone, Debug)]
pub(super) struct Customer {
    /// The row's key.
    pub(super) id: i64,
    /// First and last name.
    pub(super) name: String,
    /// The city as it stands in the row.
    pub(super) city: String,
    /// The e-mail address as it stands in the row.
    pub(super) email: String,
}

/// The shop, with a connection of its staff.
pub(super) struct Shop {
    server: PgServer,
    sql: Client,
    rng: StdRng,
    /// Rows changed so far, the first ones not counted.
    pub(super) rows: u64,
    /// Transactions committed so far, the first ones not counted.
    pub(super) transactions: u64,
}

/// A customer: id, company's name, first and last name, the company it belongs to, e-mail.
type Row<'a> = (i64, Option<&'a str>, Option<&'a str>, Option<&'a str>, Option<i64>, Option<&'a str>);

impl Shop {
    /// Starts the server and fills the tables.
    pub(super) async fn open() -> Result<Self> {
        let server = tokio::task::spawn_blocking(|| {
            let server = PgServer::builder().hba("host all passerelle 127.0.0.1/32 scram-sha-256").start()?;
            server.psql("postgres", "create database shop")?;
            anyhow::Ok(server)
        })
        .await??;
        let sql = server.client("shop").await?;
        sql.batch_execute(include_str!("shop.sql")).await?;
        // The same story each time.
        let mut shop = Self { server, sql, rng: StdRng::seed_from_u64(7), rows: 0, transactions: 0 };
        shop.fill().await?;
        (shop.rows, shop.transactions) = (0, 0);
        Ok(shop)
    }

    /// The port of its server on 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        self.server.port()
    }

    /// The major version of its server.
    pub(super) fn version(&self) -> u32 {
        self.server.major_version()
    }

    /// For questions that change nothing.
    pub(super) fn sql(&self) -> &Client {
        &self.sql
    }

    /// Companies, people and orders.
    pub(super) async fn size(&self) -> Result<(i64, i64, i64)> {
        let counts = "select count(*) filter (where is_company), count(*) filter (where not is_company),
                             (select count(*) from customer_order) from customer";
        let row = self.sql.query_one(counts, &[]).await?;
        Ok((row.get(0), row.get(1), row.get(2)))
    }

    /// A person who works for the company, or for none.
    pub(super) async fn register(&mut self, person: &Person, company: Option<i64>) -> Result<i64> {
        let address = Address::any(&mut self.rng);
        let email = person.email(self.rng.random_range(100..1_000));
        let phone = people::phone(&mut self.rng);
        let insert = "insert into customer (first_name, last_name, company_id, email, phone, street, postal_code, city, country_code)
                      values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning id";
        let row = self
            .sql
            .query_one(
                insert,
                &[
                    &person.first,
                    &person.last,
                    &company,
                    &email,
                    &phone,
                    &address.street,
                    &address.postal_code,
                    &address.city,
                    &address.country_code,
                ],
            )
            .await?;
        self.changed(1);
        Ok(row.get(0))
    }

    /// A company with its parent and a person who works there, in one transaction, the child first: the CRM wants the
    /// parent first.
    pub(super) async fn found_group(&mut self, parent: &str, company: &str, person: &Person) -> Result<[i64; 3]> {
        let ids = "select nextval(pg_get_serial_sequence('customer', 'id')) from generate_series(1, 3)";
        let ids: Vec<i64> = self.sql.query(ids, &[]).await?.iter().map(|row| row.get(0)).collect();
        let [parent_id, company_id, person_id] = ids[..] else { anyhow::bail!("three keys were asked for") };
        let address = Address::any(&mut self.rng);
        let email = person.email(person_id);
        let transaction = self.sql.transaction().await?;
        transaction.batch_execute("set constraints all deferred").await?;
        let insert = "insert into customer (id, is_company, company_name, first_name, last_name, company_id, email, street, city, country_code)
                      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let (street, city, country) = (&address.street, &address.city, &address.country_code);
        let none: Option<&str> = None;
        let rows: [Row<'_>; 3] = [
            (person_id, none, Some(&person.first), Some(&person.last), Some(company_id), Some(&email)),
            (company_id, Some(company), none, none, Some(parent_id), none),
            (parent_id, Some(parent), none, none, None, none),
        ];
        for (id, company_name, first, last, works_for, email) in rows {
            let is_company = company_name.is_some();
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 10] =
                [&id, &is_company, &company_name, &first, &last, &works_for, &email, street, city, country];
            transaction.execute(insert, &values).await?;
        }
        transaction.commit().await?;
        self.changed(3);
        Ok([parent_id, company_id, person_id])
    }

    /// An order of a person; its key and its total.
    pub(super) async fn order(&mut self, customer: i64) -> Result<(i64, String)> {
        let cents: i64 = self.rng.random_range(500..50_000);
        let insert = "insert into customer_order (customer_id, company_id, total)
                      select id, company_id, $2::bigint / 100.0 from customer where id = $1 returning id, total::text";
        let row = self.sql.query_one(insert, &[&customer, &cents]).await?;
        self.changed(1);
        Ok((row.get(0), row.get(1)))
    }

    /// Sets one column of a customer, in a transaction of its own. `column` is one of ours, never a word from outside.
    pub(super) async fn set(&mut self, customer: i64, column: &'static str, value: &str) -> Result<()> {
        let update = format!("update customer set {column} = $2 where id = $1");
        self.sql.execute(&update, &[&customer, &value]).await?;
        self.changed(1);
        Ok(())
    }

    /// The next state of an order that is under way: its key and that state.
    pub(super) async fn advance_order(&mut self) -> Result<(i64, String)> {
        let update = "update customer_order set status = case status when 'placed' then 'paid' else 'shipped' end
                      where id = (select id from customer_order where status in ('placed', 'paid') order by random() limit 1)
                      returning id, status";
        let row = self.sql.query_one(update, &[]).await?;
        self.changed(1);
        Ok((row.get(0), row.get(1)))
    }

    /// Two rows are one person: the orders of `twice` move to `first`, then `twice` is deleted, in one transaction. The
    /// keys of the orders that moved.
    pub(super) async fn merge(&mut self, first: i64, twice: i64) -> Result<Vec<i64>> {
        let transaction = self.sql.transaction().await?;
        let repoint =
            "update customer_order set customer_id = $1, company_id = (select company_id from customer where id = $1)
                       where customer_id = $2 returning id";
        let orders: Vec<i64> =
            transaction.query(repoint, &[&first, &twice]).await?.iter().map(|row| row.get(0)).collect();
        transaction.execute("delete from customer where id = $1", &[&twice]).await?;
        transaction.commit().await?;
        self.changed(1 + orders.len() as u64);
        Ok(orders)
    }

    /// Deletes a customer and the customer's orders, in one transaction. The keys of the orders.
    pub(super) async fn delete(&mut self, customer: i64) -> Result<Vec<i64>> {
        let transaction = self.sql.transaction().await?;
        let delete = "delete from customer_order where customer_id = $1 returning id";
        let orders: Vec<i64> = transaction.query(delete, &[&customer]).await?.iter().map(|row| row.get(0)).collect();
        transaction.execute("delete from customer where id = $1", &[&customer]).await?;
        transaction.commit().await?;
        self.changed(1 + orders.len() as u64);
        Ok(orders)
    }

    /// Some people, at random.
    pub(super) async fn some_people(&mut self, number: i64) -> Result<Vec<Customer>> {
        let ask = "select id, first_name || ' ' || last_name, city, email from customer
                   where not is_company and city is not null and email is not null
                   order by md5(id::text || $2::bigint::text) limit $1";
        let salt: i64 = self.rng.random();
        let rows = self.sql.query(ask, &[&number, &salt]).await?;
        let customer = |row: &tokio_postgres::Row| Customer {
            id: row.get(0),
            name: row.get(1),
            city: row.get(2),
            email: row.get(3),
        };
        Ok(rows.iter().map(customer).collect())
    }

    /// A company at random: its key and name.
    pub(super) async fn some_company(&mut self) -> Result<(i64, String)> {
        let ask =
            "select id, company_name from customer where is_company order by md5(id::text || $1::bigint::text) limit 1";
        let salt: i64 = self.rng.random();
        let row = self.sql.query_one(ask, &[&salt]).await?;
        Ok((row.get(0), row.get(1)))
    }

    /// A name for somebody new.
    pub(super) fn somebody(&mut self) -> Person {
        Person::any(&mut self.rng)
    }

    /// A name for a new company.
    pub(super) fn some_company_name(&mut self) -> String {
        people::company(&mut self.rng)
    }

    /// A telephone number.
    pub(super) fn some_phone(&mut self) -> String {
        people::phone(&mut self.rng)
    }

    /// Whether the server may recycle its log up to where it stands now: everything is durable at passerelle's.
    pub(super) async fn log_is_free(&self, up_to: &str) -> Result<bool> {
        let ask = "select coalesce(bool_and(confirmed_flush_lsn >= $1::text::pg_lsn), false) from pg_replication_slots";
        Ok(self.sql.query_one(ask, &[&up_to]).await?.get(0))
    }

    /// Where the server's log stands.
    pub(super) async fn log_position(&self) -> Result<String> {
        Ok(self.sql.query_one("select pg_current_wal_lsn()::text", &[]).await?.get(0))
    }

    async fn fill(&mut self) -> Result<()> {
        let insert = "insert into customer (is_company, company_name, company_id, phone, street, postal_code, city, country_code)
                      values (true, $1, $2, $3, $4, $5, $6, $7) returning id";
        let mut companies: Vec<i64> = Vec::new();
        for number in 0..COMPANIES {
            let (name, phone) = (people::company(&mut self.rng), people::phone(&mut self.rng));
            let at = Address::any(&mut self.rng);
            // One in five belongs to another.
            let parent = if number % 5 == 4 { companies.first().copied() } else { None };
            let row = self
                .sql
                .query_one(insert, &[&name, &parent, &phone, &at.street, &at.postal_code, &at.city, &at.country_code])
                .await?;
            companies.push(row.get(0));
        }
        let mut customers = Vec::new();
        for number in 0..PEOPLE {
            let person = self.somebody();
            // One in three buys for herself.
            let company =
                if number % 3 == 2 { None } else { Some(companies[self.rng.random_range(0..companies.len())]) };
            customers.push(self.register(&person, company).await?);
        }
        for _ in 0..ORDERS {
            let customer = customers[self.rng.random_range(0..customers.len())];
            self.order(customer).await?;
        }
        self.sql.batch_execute("analyze").await?;
        Ok(())
    }

    fn changed(&mut self, rows: u64) {
        self.rows += rows;
        self.transactions += 1;
    }
}
