//! Reaching a server: authentication, TLS, Unix sockets.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error as _;
use std::path::PathBuf;

use passerelle_change::Class;
use passerelle_postgres::replication::Replication;
use passerelle_postgres::{Error, Options, TlsMode, tls};
use passerelle_test_servers::PgServer;
use passerelle_test_servers::tls::Certificates;

const USER: &str = "tail";
const PASSWORD: &str = "pass wörd";

/// A server with TLS that asks `USER` for proof by `method`, over TCP and over its socket.
fn server(method: &str) -> PgServer {
    let lines = [format!("host all {USER} 127.0.0.1/32 {method}"), format!("local all {USER} {method}")];
    let builder = lines.iter().fold(PgServer::builder(), |builder, line| builder.hba(line));
    let encryption = if method == "md5" { "md5" } else { "scram-sha-256" };
    let server = builder.setting("password_encryption", encryption).tls(USER).start().unwrap();
    server.psql("postgres", &format!("create role {USER} login replication password '{PASSWORD}'")).unwrap();
    server
}

fn options(server: &PgServer, tls: TlsMode) -> Options {
    Options {
        host: "127.0.0.1".into(),
        port: server.port(),
        database: "postgres".into(),
        user: USER.into(),
        password: Some(PASSWORD.into()),
        tls,
        tls_ca: server.certificates().map(Certificates::ca),
        tls_cert: None,
        tls_key: None,
        application_name: "passerelle test".into(),
    }
}

async fn connects(options: Options) {
    let mut replication = Replication::connect(&options).await.unwrap();
    assert_eq!(replication.identify_system().await.unwrap().database, "postgres");
    replication.close().await;
}

async fn fails(options: Options) -> Error {
    let error = Replication::connect(&options).await.expect_err("no connection");
    assert!(matches!(error.class(), Class::Operator { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains(PASSWORD));
    error
}

#[tokio::test]
async fn scram_with_and_without_channel_binding() {
    let server = server("scram-sha-256");
    connects(options(&server, TlsMode::Disable)).await;
    connects(options(&server, TlsMode::VerifyFull)).await;
    connects(Options { host: "localhost".into(), ..options(&server, TlsMode::VerifyFull) }).await;
    connects(Options { host: server.socket_dir().display().to_string(), ..options(&server, TlsMode::VerifyFull) })
        .await;
    let wrong = fails(Options { password: Some("wrong".into()), ..options(&server, TlsMode::Disable) }).await;
    assert_eq!(wrong.sqlstate(), Some("28P01"));
    let wrong = fails(Options { password: Some("wrong".into()), ..options(&server, TlsMode::Require) }).await;
    assert_eq!(wrong.sqlstate(), Some("28P01"));
    let none = fails(Options { password: None, ..options(&server, TlsMode::Disable) }).await;
    assert!(matches!(none, Error::NoPassword), "{none}");
}

/// `tokio-postgres` with our TLS and `channel_binding=require` must get through: the binding's data is right.
#[tokio::test]
async fn channel_binding_is_what_the_server_expects() {
    let server = server("scram-sha-256");
    let options = options(&server, TlsMode::VerifyFull);
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server.port()).user(USER).password(PASSWORD).dbname("postgres");
    config.ssl_mode(tokio_postgres::config::SslMode::Require);
    config.channel_binding(tokio_postgres::config::ChannelBinding::Require);
    let connector = tls::Connector(tls::client_config(&options).unwrap().unwrap());
    let (client, connection) = config.connect(connector).await.unwrap();
    let running = tokio::spawn(connection);
    let row = client.query_one("select ssl from pg_stat_ssl where pid = pg_backend_pid()", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0));
    drop(client);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn md5() {
    let server = server("md5");
    connects(options(&server, TlsMode::Disable)).await;
    connects(options(&server, TlsMode::Require)).await;
    let wrong = fails(Options { password: Some("wrong".into()), ..options(&server, TlsMode::Disable) }).await;
    assert_eq!(wrong.sqlstate(), Some("28P01"));
}

#[tokio::test]
async fn cleartext_is_refused_where_others_could_listen() {
    let server = server("password");
    let refused = fails(options(&server, TlsMode::Disable)).await;
    assert!(matches!(refused, Error::CleartextRefused), "{refused}");
    connects(options(&server, TlsMode::Require)).await;
    connects(Options { host: server.socket_dir().display().to_string(), ..options(&server, TlsMode::Disable) }).await;
}

#[tokio::test]
async fn certificates_are_checked_as_the_mode_says() {
    let server = server("scram-sha-256");
    let folder = tempfile::tempdir().unwrap();
    let others = Certificates::make(folder.path(), "x").unwrap();
    let strange = |tls| Options { tls_ca: Some(others.ca()), ..options(&server, tls) };
    connects(strange(TlsMode::Prefer)).await;
    connects(strange(TlsMode::Require)).await;
    for mode in [TlsMode::VerifyCa, TlsMode::VerifyFull] {
        let error = fails(strange(mode)).await;
        assert!(matches!(error, Error::TlsHandshake { .. }), "{error}");
        assert!(error.source().unwrap().to_string().contains("invalid peer certificate"), "{error:?}");
    }
    connects(options(&server, TlsMode::VerifyCa)).await;
    let missing =
        fails(Options { tls_ca: Some(PathBuf::from("/nowhere/ca.pem")), ..options(&server, TlsMode::VerifyFull) })
            .await;
    assert!(matches!(missing, Error::TlsFile { .. }), "{missing}");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_by_verify_full_alone() {
    let server =
        PgServer::builder().setting("listen_addresses", "127.0.0.1,127.0.0.2").hba("host all all 127.0.0.0/8 trust");
    let server = server.tls(USER).start().unwrap();
    server.psql("postgres", &format!("create role {USER} login replication")).unwrap();
    // An address of this server that its certificate does not have.
    let other = |tls| Options { host: "127.0.0.2".into(), ..options(&server, tls) };
    connects(other(TlsMode::VerifyCa)).await;
    let error = fails(other(TlsMode::VerifyFull)).await;
    assert!(matches!(error, Error::TlsHandshake { .. }), "{error}");
    connects(options(&server, TlsMode::VerifyFull)).await;
}

#[tokio::test]
async fn client_certificates() {
    let server = server("scram-sha-256");
    server.set_hba(&[&format!("hostssl all {USER} 127.0.0.1/32 cert")]).unwrap();
    server.reload().unwrap();
    let files = server.certificates().unwrap();
    let with = Options {
        password: None,
        tls_cert: Some(files.client()),
        tls_key: Some(files.client_key()),
        ..options(&server, TlsMode::VerifyFull)
    };
    connects(with.clone()).await;
    let half = fails(Options { tls_key: None, ..with.clone() }).await;
    assert!(matches!(half, Error::TlsSettings(_)), "{half}");
    let without = fails(Options { tls_cert: None, tls_key: None, ..with }).await;
    assert_eq!(without.sqlstate(), Some("28000"), "{without}");
}

#[tokio::test]
async fn servers_without_tls() {
    let server = PgServer::start().unwrap();
    let as_postgres = |tls| Options { user: "postgres".into(), tls_ca: None, ..options(&server, tls) };
    connects(as_postgres(TlsMode::Prefer)).await;
    let refused = fails(as_postgres(TlsMode::Require)).await;
    assert!(matches!(refused, Error::NoTls { .. }), "{refused}");
    let no_database = fails(Options { database: "nowhere".into(), ..as_postgres(TlsMode::Disable) }).await;
    assert_eq!(no_database.sqlstate(), Some("3D000"));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_transient() {
    let server = PgServer::start().unwrap();
    let options = Options { port: server.port(), ..options(&server, TlsMode::Disable) };
    drop(server);
    let error = Replication::connect(&options).await.unwrap_err();
    assert_eq!(error.class(), Class::Transient, "{error}");
}
