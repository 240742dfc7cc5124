use std::collections::HashMap;

use passerelle_change::{Severity, TableName};

use super::*;
use crate::TlsMode;
use crate::catalog::{Catalog, Readings};
use crate::preflight::observed::{Filters, Grants};
use crate::sql::Server;

/// A server of MySQL that has nothing wrong.
pub(in crate::preflight) fn observed() -> Observed {
    let settings = [
        ("log_bin", "ON"),
        ("server_id", "1"),
        ("binlog_format", "ROW"),
        ("binlog_row_image", "FULL"),
        ("binlog_row_metadata", "FULL"),
        ("log_replica_updates", "ON"),
        ("gtid_mode", "ON"),
        ("binlog_expire_logs_seconds", "2592000"),
    ];
    let facts = crate::history::tests::facts_of_mysql();
    Observed {
        server: Server { version_text: "9.7.0".into(), ..facts.server.clone() },
        facts: Some(facts),
        settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        filters: Filters::default(),
        is_replica: Some(false),
        account: "'p'@'%'".into(),
        grants: Grants::parse(std::iter::once("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `p`@`%`")),
        catalog: Catalog::default(),
        other_names: Vec::new(),
    }
}

pub(in crate::preflight) fn request(tables: &[(TableName, Vec<String>)]) -> Request<'_> {
    Request { tables, readings: Readings::default() }
}

fn options() -> Options {
    Options {
        flavor: Flavor::Mysql,
        host: "db".into(),
        port: 3306,
        database: "shop".into(),
        user: "p".into(),
        password: None,
        tls: TlsMode::Prefer,
        tls_ca: None,
        tls_cert: None,
        tls_key: None,
        server_id: None,
        application_name: "passerelle".into(),
    }
}

/// What is found when these settings are others: the words, and the remedy of the first.
fn found(settings: &[(&str, &str)]) -> (Vec<&'static str>, String) {
    let mut observed = observed();
    for (name, value) in settings {
        observed.settings.insert((*name).to_owned(), (*value).to_owned());
    }
    of(&observed, &options())
}

fn of(observed: &Observed, options: &Options) -> (Vec<&'static str>, String) {
    let tables = [(TableName { schema: "shop".into(), name: "orders".into() }, Vec::new())];
    let findings = findings(observed, options, &request(&tables));
    let remedy = findings.first().and_then(|finding| finding.remedy.clone()).unwrap_or_default();
    (findings.iter().map(|finding| finding.code).collect(), remedy)
}

#[test]
fn nothing_wrong_is_nothing_found() {
    assert_eq!(found(&[]), (Vec::new(), String::new()));
    // What a server has given up is as it should be.
    let mut old = observed();
    old.settings = HashMap::from([("log_bin".into(), "ON".into()), ("gtid_mode".into(), "ON".into())]);
    assert_eq!(of(&old, &options()).0, Vec::<&str>::new());
}

#[test]
fn settings_and_the_statements_that_mend_them() {
    for (setting, value, code, remedy) in [
        ("log_bin", "OFF", "log_bin", "log_bin = binlog, server_id = 1, binlog_format = ROW"),
        ("server_id", "0", "server_id", "SET GLOBAL server_id = 1;"),
        ("binlog_format", "MIXED", "binlog_format", "SET GLOBAL binlog_format = 'ROW';"),
        ("binlog_format", "STATEMENT", "binlog_format", "SET GLOBAL binlog_format = 'ROW';"),
        ("binlog_row_image", "MINIMAL", "binlog_row_image", "SET GLOBAL binlog_row_image = 'FULL';"),
        ("binlog_row_image", "NOBLOB", "binlog_row_image", "SET GLOBAL binlog_row_image = 'FULL';"),
        ("binlog_row_metadata", "NO_LOG", "binlog_row_metadata", "SET GLOBAL binlog_row_metadata = 'FULL';"),
        ("basedir", "/rdsdbbin/mysql-8.0.40/", "retention", "rds_set_configuration('binlog retention hours', 168)"),
    ] {
        let (codes, mend) = found(&[(setting, value)]);
        assert_eq!(codes, [code], "{setting} = {value}");
        assert!(mend.contains(remedy), "{mend}");
    }
    let (codes, mend) = found(&[("binlog_row_image", "MINIMAL"), ("binlog_row_value_options", "PARTIAL_JSON")]);
    assert!(codes == ["binlog_row_image"] && mend.contains("binlog_row_value_options"));
}

#[test]
fn my_08_our_number_is_not_the_server_s() {
    for (ours, codes) in [(1, &["server_id"][..]), (0, &["server_id"]), (77, &[])] {
        assert_eq!(of(&observed(), &Options { server_id: Some(ours), ..options() }).0, codes, "{ours}");
    }
}

#[test]
fn my_15_a_log_that_is_kept_for_too_short() {
    let mut observed = observed();
    let facts = observed.facts.clone().unwrap();
    let with = |seconds| Some(ServerFacts { expire_seconds: Some(seconds), ..facts.clone() });
    observed.facts = with(86_400);
    assert_eq!(of(&observed, &options()).0, Vec::<&str>::new());
    observed.facts = with(3_600);
    let (codes, mend) = of(&observed, &options());
    assert_eq!(codes, ["retention"]);
    assert!(mend.starts_with("SET GLOBAL binlog_expire_logs_seconds = 604800;"), "{mend}");
    observed.settings.remove("binlog_expire_logs_seconds");
    assert!(of(&observed, &options()).1.starts_with("SET GLOBAL expire_logs_days = 7;"));
}

#[test]
fn my_16_proxies_are_named() {
    let mut observed = observed();
    observed.server.version_text = "8.0.30-Vitess".into();
    assert_eq!(of(&observed, &options()).0, ["proxy"]);
}

#[test]
fn my_22_names_that_are_off_need_more_rights_and_are_advised() {
    let mut observed = observed();
    observed.settings.insert("gtid_mode".into(), "OFF".into());
    observed.facts = observed.facts.map(|facts| ServerFacts { gtid_mode: GtidMode::Off, ..facts });
    let (codes, mend) = of(&observed, &options());
    assert_eq!((codes, mend.as_str()), (vec!["grants", "gtid_mode"], "GRANT RELOAD ON *.* TO 'p'@'%';"));
}

#[test]
fn my_32_changes_that_are_kept_out_of_the_log() {
    let mut observed = observed();
    observed.filters.ignored = vec!["shop".into()];
    assert_eq!(of(&observed, &options()).0, ["binlog_filter"]);
    observed.filters = Filters { only: vec!["other".into()], ignored: Vec::new() };
    assert_eq!(of(&observed, &options()).0, ["binlog_filter"]);
    observed.filters.only.push("shop".into());
    assert_eq!(of(&observed, &options()).0, Vec::<&str>::new());
    observed.settings.insert("log_replica_updates".into(), "OFF".into());
    assert_eq!(of(&observed, &options()).0, Vec::<&str>::new());
    for (is_replica, severity) in [(Some(true), Severity::Fault), (None, Severity::Warning)] {
        observed.is_replica = is_replica;
        let findings = findings(&observed, &options(), &request(&[]));
        assert_eq!((findings[0].code, findings[0].severity), ("log_replica_updates", severity));
    }
}

#[test]
fn rights_are_asked_for_in_one_statement() {
    let mut observed = observed();
    observed.grants = Grants::default();
    observed.facts = None;
    let mend = of(&observed, &options()).1;
    assert_eq!(mend, "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'p'@'%';");
    observed.server = Server { flavor: Flavor::Mariadb, version: 101_119, ..observed.server };
    let mend = of(&observed, &options()).1;
    assert_eq!(mend, "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'p'@'%';");
}
