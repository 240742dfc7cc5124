use passerelle_change::TableName;
use passerelle_postgres::Error;
use passerelle_postgres::catalog::Watch;
use passerelle_postgres::publication::{Columns, Lack, Wanted};

use crate::rig::{Rig, name, strings, within};

#[tokio::test]
async fn pg_23_a_look_sees_what_changed_since_and_connects_again() {
    let rig = Rig::new("create table t (id int primary key, a text); create table b (id int primary key)");
    let mut watch = Watch::new(rig.options("postgres"));
    let names = [name("t"), name("b"), name("gone")];
    let before = watch.read(&names).await.expect("it is read");
    assert_eq!(before, watch.read(&names).await.expect("it is read"));
    let oids: Vec<u32> = before.tables.iter().map(|table| table.oid).collect();

    // One connection, whatever it is asked.
    let ours = "select count(*)::text from pg_stat_activity where application_name = 'passerelle erp'";
    assert_eq!(rig.sql(ours), "1");
    rig.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'passerelle erp'");
    rig.until(ours, "0").await;
    rig.sql("alter table t rename a to c; alter table b rename to b_old");
    // The end of the old connection may be met by the next look, but no later.
    let now = match watch.read(&names).await {
        Ok(now) => now,
        Err(_) => watch.read(&names).await.expect("it connects again"),
    };
    assert_eq!(now.tables.len(), 1);
    assert_eq!(now.tables[0].column("c").expect("it is there").attnum, 2);
    let named = watch.names(&oids).await.expect("they are read");
    assert_eq!(named.into_iter().map(|(_, name)| name).collect::<Vec<_>>(), [name("t"), name("b_old")]);
    assert_eq!(watch.server_version().await.expect("it is known") / 10_000, rig.major());
}

#[tokio::test]
async fn pg_23_a_look_that_fails_says_so_and_the_next_one_goes_on() {
    let rig = Rig::new("create role erp login; create table t (id int primary key)");
    let mut watch = Watch::new(rig.options("erp"));
    assert_eq!(watch.read(&[name("t")]).await.expect("it is read").tables.len(), 1);
    let altering = rig.server.client("postgres").await.expect("it connects");
    altering.batch_execute("begin; lock table pg_catalog.pg_attribute in access exclusive mode").await.expect("locked");
    // It is given up in time, whoever holds it up.
    let error = within(watch.read(&[name("t")])).await.expect_err("it is locked");
    assert!(matches!(error.sqlstate(), Some("55P03" | "57014")), "{error:?}");
    altering.batch_execute("rollback").await.expect("it ends");
    assert_eq!(watch.read(&[name("t")]).await.expect("it is read").tables.len(), 1);
    // A look that is not waited for leaves nothing behind that the next one would fall over.
    drop(tokio::time::timeout(std::time::Duration::ZERO, watch.read(&[name("t")])).await);
    assert_eq!(watch.read(&[name("t")]).await.expect("it is read").tables.len(), 1);
}

async fn wanted(rig: &Rig, watch: &mut Watch, columns: &[&str]) -> Vec<Wanted> {
    let version = watch.server_version().await.expect("it is known");
    vec![Wanted::new(&rig.facts("a").await, &strings(columns), Columns::Mapped, version).expect("it can be published")]
}

#[tokio::test]
async fn pg_23_tables_that_were_swapped_or_lost_a_column_are_published_again() {
    let rig = Rig::new(
        "create table a (id int primary key, x text, y text); create table b (id int primary key, x text, y text)",
    );
    let mut watch = Watch::new(rig.options("postgres"));
    let both = wanted(&rig, &mut watch, &["x", "y"]).await;
    let lacks = async |watch: &mut Watch, wanted: &[Wanted]| {
        let lacking = watch.lacking("p", wanted).await.expect("it is read");
        lacking.into_iter().map(|lacking| (lacking.table.name, lacking.what)).collect::<Vec<_>>()
    };
    assert_eq!(lacks(&mut watch, &both).await, [("a".to_owned(), Lack::Table)]);
    watch.publish("p", &both).await.expect("it is made");
    assert_eq!(lacks(&mut watch, &both).await, []);
    // A rename keeps a column published; a list that lacks one is told.
    if rig.major() >= 15 {
        rig.sql("alter table a rename x to z");
        assert_eq!(
            lacks(&mut watch, &wanted(&rig, &mut Watch::new(rig.options("postgres")), &["z", "y"]).await).await,
            []
        );
        rig.sql("alter table a rename z to x; alter publication p set table only a (id, x)");
        assert_eq!(lacks(&mut watch, &both).await, [("a".to_owned(), Lack::Columns(["y".to_owned()].into()))]);
        watch.publish("p", &both).await.expect("it is mended");

        // Without CASCADE the server refuses; with it, the whole table is out.
        assert!(rig.server.psql("postgres", "alter table a drop y").is_err());
        rig.sql("alter table a drop y cascade");
        let without = wanted(&rig, &mut watch, &["x"]).await;
        assert_eq!(lacks(&mut watch, &without).await, [("a".to_owned(), Lack::Table)]);
        watch.publish("p", &without).await.expect("it is mended");
        assert_eq!(lacks(&mut watch, &without).await, []);
    }
    rig.sql("alter table a rename to a_old; alter table b rename to a");
    let swapped = wanted(&rig, &mut watch, &["x"]).await;
    assert_eq!(lacks(&mut watch, &swapped).await, [("a".to_owned(), Lack::Table)]);
    watch.publish("p", &swapped).await.expect("it is mended");
    assert_eq!(lacks(&mut watch, &swapped).await, []);
    let published = "select string_agg(tablename, ',') from pg_publication_tables";
    assert_eq!(rig.sql(published), "a");
    // The application can write to both.
    rig.sql("insert into a (id) values (1); update a set x = 'n'; update a_old set x = 'n'");

    // What is gone by the time that it is to be published is looked at again.
    rig.sql("drop table a");
    let overtaken = watch.publish("p", &swapped).await.expect_err("it is gone");
    assert!(matches!(overtaken, Error::Overtaken { .. }), "{overtaken:?}");
    watch.publish("p", &[]).await.expect("nothing is to be published");
}

/// It can be asked from a task of its own.
#[test]
fn a_look_is_sent_between_threads() {
    fn is_sent<T: Send>(_: T) {}
    let _ = |watch: &'static mut Watch, names: &'static [TableName]| is_sent(watch.read(names));
    let _ = |watch: &'static mut Watch, wanted: &'static [Wanted]| is_sent(watch.lacking("p", wanted));
    let _ = |watch: &'static mut Watch, wanted: &'static [Wanted]| is_sent(watch.publish("p", wanted));
}
