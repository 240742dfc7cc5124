use passerelle_postgres::{Error, Options, TlsMode, sql};
use passerelle_test_servers::PgServer;
use secrecy::SecretString;

use crate::rig::Rig;

async fn refused(options: &Options) -> Error {
    sql::connect(options).await.map(|_| ()).expect_err("it is refused")
}

#[tokio::test]
async fn pg_50_the_session_is_pinned_against_the_roles_own_settings() {
    let rig = Rig::new(
        "create role erp login; alter role erp set datestyle = 'German'; alter role erp set timezone = 'Asia/Kolkata';
         alter role erp set bytea_output = 'escape'; alter role erp set extra_float_digits = 0; alter role erp set intervalstyle = 'iso_8601';
         alter role erp set search_path = 'public'; alter role erp set client_encoding = 'latin1'",
    );
    let client = rig.client("erp").await;
    let row = client
        .query_one(
            "select '2024-01-02 03:04:05+00'::timestamptz::text, '\\xdead'::bytea::text, (0.1::float8 + 0.2)::text, '1 day'::interval::text,
                    current_setting('client_encoding'), current_setting('search_path'), current_setting('application_name')",
            &[],
        )
        .await
        .expect("it answers");
    let values: Vec<String> = (0..7).map(|at| row.get(at)).collect();
    let want =
        ["2024-01-02 03:04:05+00", "\\xdead", rig.three_tenths(), "1 day", "UTF8", "pg_catalog", "passerelle erp"];
    assert_eq!(values, want);
}

#[tokio::test]
async fn a_unix_socket_and_a_password_are_used() {
    let rig = Rig::new("create role erp login password 'pg \"secret\"'");
    rig.server.set_hba(&["host all erp 127.0.0.1/32 scram-sha-256"]).expect("it is written");
    rig.server.reload().expect("it reloads");
    let mut options = rig.options("erp");
    assert!(matches!(refused(&options).await, Error::NoPassword));
    options.password = Some(SecretString::from("wrong"));
    assert_eq!(refused(&options).await.sqlstate(), Some("28P01"));
    options.password = Some(SecretString::from("pg \"secret\""));
    sql::connect(&options).await.expect("it connects");
    let socket =
        Options { host: rig.server.socket_dir().display().to_string(), tls: TlsMode::VerifyFull, ..rig.options("erp") };
    sql::connect(&socket).await.expect("it connects");
}

#[tokio::test]
async fn a_password_is_never_sent_in_clear_text_without_tls() {
    let rig = Rig::new("create role erp login password 'secret'");
    rig.server.set_hba(&["host all erp 127.0.0.1/32 password"]).expect("it is written");
    rig.server.reload().expect("it reloads");
    for tls in [TlsMode::Disable, TlsMode::Prefer] {
        let options = Options { password: Some(SecretString::from("secret")), tls, ..rig.options("erp") };
        let error = refused(&options).await;
        assert!(matches!(error, Error::CleartextRefused), "{error:?}");
    }
}

#[tokio::test]
async fn certificates_are_checked_and_shown() {
    let server = PgServer::builder().tls("erp").start().expect("PostgreSQL starts");
    let rig = Rig::of(server, "create role erp login password 'secret'");
    rig.server.set_hba(&["hostssl all erp 127.0.0.1/32 scram-sha-256"]).expect("it is written");
    rig.server.reload().expect("it reloads");
    let files = rig.server.certificates().expect("asked for").clone();
    let with_password = Options {
        tls: TlsMode::VerifyFull,
        tls_ca: Some(files.ca()),
        password: Some(SecretString::from("secret")),
        ..rig.options("erp")
    };
    for host in ["localhost", "127.0.0.1"] {
        let options = Options { host: host.into(), ..with_password.clone() };
        sql::connect(&options).await.expect("it connects, with channel binding");
    }
    let unknown = Options { tls_ca: Some(files.client()), ..with_password.clone() };
    assert!(matches!(refused(&unknown).await, Error::TlsHandshake { .. }));

    rig.server.set_hba(&["hostssl all erp 127.0.0.1/32 cert"]).expect("it is written");
    rig.server.reload().expect("it reloads");
    assert_eq!(refused(&with_password).await.sqlstate(), Some("28000"));
    let shown = Options { tls_cert: Some(files.client()), tls_key: Some(files.client_key()), ..with_password };
    sql::connect(&shown).await.expect("it connects");
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let mut rig = Rig::new("");
    let tls = Options { tls: TlsMode::Require, ..rig.options("postgres") };
    assert!(matches!(refused(&tls).await, Error::NoTls { .. }));
    let database = Options { database: "nowhere".into(), ..rig.options("postgres") };
    assert_eq!(refused(&database).await.sqlstate(), Some("3D000"));
    let options = rig.options("postgres");
    rig.server.kill().expect("it is killed");
    assert!(matches!(refused(&options).await, Error::Connect { .. }));
}
