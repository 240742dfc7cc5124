//! The schema of a related table changes: the mappings that are made with it are held, and no other; what comes out once that
//! is settled is what SQL says.

use passerelle::sandbox::SandboxOptions;
use passerelle_test_servers::{MariadbServer, PgServer};
use serde_json::Value;

use crate::database::{Database, mariadb};
use crate::records::{Fields, Records};
use crate::table::mapping;
use crate::world::World;

const TABLES: &str = "
    create table country (id int primary key, label varchar(20), zone varchar(20), other int);
    create table visit (id int primary key, partner int, shop varchar(20));
    create table partner (id int primary key, code varchar(20) not null, name varchar(40) not null, country int);
    insert into country values (1, '33', 'EU', 0), (2, '49', 'EU', 0);
    insert into visit values (1, 1, 'Paris'), (2, 1, 'Lyon'), (3, 2, 'Bonn');
    insert into partner values (1, 'a', 'Ada', 1), (2, 'b', 'Bob', 2), (3, 'c', 'Cyd', null)";

/// Partners with the country's column `label`, and the same ones without any country.
fn partners(label: &str) -> String {
    let fields = format!("Name = \"name\"\nCountry__c = \"land.{label} ~ ''\"\nShops__c = \"visits.all\"");
    let with = "[mapping.partners.with.land]\ntable = \"public.country\"\non = { id = \"country\" }\n\
        [mapping.partners.with.visits]\ntable = \"public.visit\"\non = { partner = \"id\" }\n\
        rollup = { all = \"list(shop, distinct, sep = ';')\" }\n";
    mapping("partners", "partner", "Account", "", &fields) + with + &names()
}

fn names() -> String {
    mapping("names", "partner", "Contact", "", "LastName = \"name\"")
}

impl<S: Database> World<S> {
    /// Changes the countries, with rows of both tables behind it. Waits until the partners are held for it, and the mapping
    /// beside them has gone on; gives what is told. Nothing of the partners was delivered by then.
    async fn partners_held_for(&self, ddl: &str, behind: &str) -> Vec<Value> {
        self.mark();
        let told = self.partners_held_soon_for(ddl, behind).await;
        let early = self.writes();
        assert!(early.iter().all(|write| !write.contains("Account")), "{early:?}");
        told
    }

    /// The same for what no row of the countries shows: rows of the partners may be delivered until it was looked at.
    async fn partners_held_soon_for(&self, ddl: &str, behind: &str) -> Vec<Value> {
        self.sql(&format!("{ddl}; {behind}"));
        let name = self.sql("select concat(name, '.') from partner where id = 2");
        self.sql(&format!("update partner set name = '{name}' where id = 2"));
        let told = self.drifted("partners").await;
        self.captured().await;
        let goes_on =
            async || self.crm().record("Contact", "Erp_Id__c", "b").filter(|bob| bob.fields["LastName"] == *name);
        self.until("the other mapping to go on", goes_on).await;
        told
    }

    /// Waits until the CRM has the partners as SQL says, and has them so after a change of each row behind it.
    async fn partners_come_out(&self, label: &str) {
        self.goes_on("partners").await;
        self.settled().await;
        self.expect("Account", &self.partners_with(label)).await;
        self.sql(&format!("update country set {label} = '77' where id = 1; update visit set shop = concat(shop, '!')"));
        self.sql("update partner set name = concat(name, '!')");
        self.settled().await;
        self.expect("Account", &self.partners_with(label)).await;
        assert_eq!(self.dead_letters(), [""; 0]);
    }

    fn partners_with(&self, label: &str) -> Records {
        let shops = if S::ERP == "postgres" {
            "string_agg(distinct shop, ';' order by shop)"
        } else {
            "group_concat(distinct shop order by shop separator ';')"
        };
        self.sql(&format!(
            "create or replace view wanted as select p.code, p.name, concat(c.{label}, '') as label,
             (select {shops} from visit v where v.partner = p.id) as shops from partner p left join country c on c.id = p.country"
        ));
        let one = |row: Value| {
            let columns = [("name", "Name"), ("label", "Country__c"), ("shops", "Shops__c")];
            let some = columns.into_iter().filter_map(|(column, field)| {
                let text = row[column].as_str().filter(|text| !text.is_empty())?;
                Some((field.to_owned(), format!("{text:?}")))
            });
            (row["code"].as_str().unwrap().to_owned(), some.collect::<Fields>())
        };
        let all = self.server.rows("wanted").into_iter().map(one).collect();
        // The next change of the tables may be of a column that it shows.
        self.sql("drop view wanted");
        all
    }

    /// Waits until it is all that is told that a column was written anew.
    async fn rewritten(&self) {
        let is_told = async || (kinds(&self.drifted("partners").await) == ["rewritten"]).then_some(());
        self.until("the new column to be seen", is_told).await;
    }

    fn refuses_partners(&self, words: &[&str]) -> String {
        let (status, said) = self.daemon.borrow().cli(&[&["drift", "accept", "partners"], words].concat());
        assert!(!status.success(), "{said}\n{}", self.story());
        said
    }
}

async fn on_postgres() -> World<PgServer> {
    World::running(TABLES, &partners("label")).await
}

async fn on_mariadb() -> World<MariadbServer> {
    let world = World::of(mariadb(&[]), TABLES, &partners("label"), SandboxOptions::default()).await;
    world.start().await;
    world.settled().await;
    world.mark();
    world
}

fn kinds(told: &[Value]) -> Vec<&str> {
    told.iter().map(|drift| drift["kind"].as_str().unwrap()).collect()
}

const DROP: &str = "alter table country drop column label";

async fn a_column_is_dropped_and_put_back<S: Database>(world: World<S>) {
    let told = world.partners_held_for(DROP, "update country set zone = 'X'").await;
    assert_eq!(kinds(&told), ["column_dropped"], "{told:?}");
    let [drift] = &told[..] else { panic!("{told:?}") };
    assert_eq!(drift["relation"], "land");
    assert_eq!(drift["fields"], serde_json::json!(["Country__c"]));
    let held = world.status_of("mappings", "partners").await.unwrap();
    assert!(held["held_reason"].as_str().unwrap().contains("public.country: label is gone"), "{held}");
    let shown = world.cli(&["drift", "show", "partners"]);
    assert!(shown.contains("land: label is gone"), "{shown}");
    for words in [&[][..], &["--drop", "label"], &["--as-null", "land.label"]] {
        let said = world.refuses_partners(words);
        assert!(said.contains("passerelle reload"), "{said}");
    }
    // A restart forgets none of it.
    world.restart().await;
    world.drifted("partners").await;
    world.sql("alter table country add column label varchar(20); update country set label = '66' where id = 2");
    if S::ERP == "postgres" {
        world.rewritten().await;
        world.cli(&["drift", "accept", "partners"]);
    }
    world.partners_come_out("label").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_21_a_related_column_is_dropped_and_put_back() {
    a_column_is_dropped_and_put_back(on_postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_related_column_is_dropped_and_put_back() {
    a_column_is_dropped_and_put_back(on_mariadb().await).await;
}

async fn a_mapping_is_written_anew<S: Database>(mut world: World<S>) {
    world.partners_held_for(DROP, "update country set zone = concat('Z', id)").await;
    world.remap(&partners("zone"));
    world.cli(&["reload"]);
    world.partners_come_out("zone").await;
    // What a new mapping does not fit is refused.
    world.remap(&partners("label"));
    let (status, said) = world.daemon.borrow().cli(&["reload"]);
    assert!(!status.success(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_21_a_mapping_whose_related_column_is_gone_is_written_anew() {
    a_mapping_is_written_anew(on_postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_mapping_whose_related_column_is_gone_is_written_anew() {
    a_mapping_is_written_anew(on_mariadb().await).await;
}

async fn a_column_is_renamed_and_back_and_again<S: Database>(world: World<S>) {
    for (from, to) in [("label", "tag"), ("tag", "label"), ("label", "tag")] {
        let ddl = format!("alter table country rename column {from} to {to}");
        let told =
            world.partners_held_for(&ddl, &format!("update country set {to} = concat({to}, '0') where id = 2")).await;
        assert_eq!(kinds(&told), ["column_renamed"], "{told:?}");
        world.cli(&["drift", "accept", "partners"]);
        world.partners_come_out(to).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_a_related_column_is_renamed_and_back_and_again() {
    a_column_is_renamed_and_back_and_again(on_postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_related_column_is_renamed_and_back_and_again() {
    a_column_is_renamed_and_back_and_again(on_mariadb().await).await;
}

/// `key` is the DDL for the column by which they are joined, which no word settles.
async fn columns_are_retyped<S: Database>(world: World<S>, ddl: &str, key: [&str; 2]) {
    let told = world.partners_held_for(ddl, "update country set other = 1").await;
    assert_eq!(kinds(&told), ["retyped"], "{told:?}");
    world.cli(&["drift", "accept", "partners"]);
    world.partners_come_out("label").await;
    let told = world.partners_held_for(key[0], "update country set other = 2").await;
    assert!(kinds(&told).contains(&"retyped"), "{told:?}");
    world.refuses_partners(&[]);
    world.sql(&format!("{}; update country set other = 3", key[1]));
    if S::ERP == "postgres" {
        // Its values may be others for that.
        world.rewritten().await;
        world.cli(&["drift", "accept", "partners"]);
    }
    world.partners_come_out("label").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_related_columns_are_retyped() {
    let ddl = "alter table country alter column label type integer using label::integer";
    let key = ["varchar(20)", "integer using id::integer"];
    let key = key.map(|to| format!("alter table country alter column id type {to}"));
    columns_are_retyped(on_postgres().await, ddl, [&key[0], &key[1]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_related_columns_are_retyped() {
    let ddl = "alter table country modify column label int";
    let key = ["alter table country modify column id varchar(20)", "alter table country modify column id int"];
    columns_are_retyped(on_mariadb().await, ddl, key).await;
}

/// The mapping's own column by which related rows are found is a column that it uses.
async fn the_own_column_of_a_join_is_dropped<S: Database>(world: World<S>) {
    let told = world
        .partners_held_for("alter table partner drop column country", "update partner set name = 'Ada II' where id = 1")
        .await;
    assert_eq!(kinds(&told), ["column_dropped"], "{told:?}");
    assert_eq!(told[0]["fields"], serde_json::json!(["Country__c"]));
    world.cli(&["drift", "accept", "partners", "--drop", "country"]);
    world.goes_on("partners").await;
    world.settled().await;
    world.mark();
    world.sql("update partner set name = 'Ada III' where id = 1");
    world.settled().await;
    let writes = world.writes();
    assert!(writes.contains(&"updated Account a Name=\"Ada III\"".to_owned()), "{writes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_21_the_own_column_of_a_join_is_dropped() {
    the_own_column_of_a_join_is_dropped(on_postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_the_own_column_of_a_join_is_dropped() {
    the_own_column_of_a_join_is_dropped(on_mariadb().await).await;
}

/// Neither a table that is gone nor one without a key ends the daemon, whether it runs or starts.
async fn a_table_is_gone_and_its_key<S: Database>(world: World<S>) {
    let name = "partners";
    let told = world.partners_held_soon_for("alter table visit rename to visits", "update country set other = 4").await;
    assert!(["table_renamed", "table_dropped"].contains(&kinds(&told)[0]), "{told:?}");
    assert_eq!(told[0]["relation"], "visits");
    world.refuses_partners(&[]);
    world.restart().await;
    world.drifted(name).await;
    world.sql("alter table visits rename to visit");
    world.partners_come_out("label").await;
    world.daemon.borrow_mut().kill();
    let drop = if S::ERP == "postgres" {
        "alter table country drop constraint country_pkey"
    } else {
        "alter table country drop primary key"
    };
    world.sql(drop);
    world.start().await;
    let told = world.drifted(name).await;
    assert_eq!(kinds(&told), ["key_changed"], "{told:?}");
    world.sql("alter table country add primary key (id)");
    world.partners_come_out("label").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_25_a_related_table_is_gone_and_its_key() {
    a_table_is_gone_and_its_key(on_postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_39_a_related_table_is_gone_and_its_key() {
    a_table_is_gone_and_its_key(on_mariadb().await).await;
}

/// Additions and widenings hold nothing, whatever the new columns are called.
async fn what_only_grows_goes_on<S: Database>(world: World<S>, widen: &str) {
    world.sql(&format!(
        "alter table country add column more int; alter table partner add column visits int; {widen}; \
         update country set label = '3333333333333333333333333' where id = 1; update partner set visits = 2 where id = 2"
    ));
    world.settled().await;
    world.partners_come_out("label").await;
    world.restart().await;
    world.partners_come_out("label").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_a_related_table_that_only_grows_holds_nothing() {
    what_only_grows_goes_on(on_postgres().await, "alter table country alter column label type text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_related_table_that_only_grows_holds_nothing() {
    what_only_grows_goes_on(on_mariadb().await, "alter table country modify column label varchar(60)").await;
}

/// The change comes while the daemon is away, with rows behind it.
async fn a_change_while_the_daemon_is_away_is_seen<S: Database>(world: World<S>) {
    world.daemon.borrow_mut().kill();
    world.mark();
    world.sql(&format!("{DROP}; update country set zone = 'X'; update partner set name = 'Bo' where id = 2"));
    world.start().await;
    world.drifted("partners").await;
    world.captured().await;
    let early = world.writes();
    assert!(early.iter().all(|write| !write.contains("Account")), "{early:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_21_a_related_change_while_the_daemon_is_away_is_seen() {
    a_change_while_the_daemon_is_away_is_seen(on_postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_related_change_while_the_daemon_is_away_is_seen() {
    a_change_while_the_daemon_is_away_is_seen(on_mariadb().await).await;
}
