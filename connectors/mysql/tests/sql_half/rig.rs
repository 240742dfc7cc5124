//! What the tests share.

use passerelle_change::TableName;
use passerelle_mysql::sql::{self, Connection};
use passerelle_mysql::{Flavor, Options, TlsMode};
use passerelle_test_servers::MariadbServer;

/// How `root` reaches the server over TCP.
pub(crate) fn options(server: &MariadbServer) -> Options {
    Options { port: server.port(), ..to("127.0.0.1") }
}

pub(crate) fn to(host: &str) -> Options {
    Options {
        flavor: Flavor::Mariadb,
        host: host.into(),
        port: 3306,
        database: "mysql".into(),
        user: "root".into(),
        password: None,
        tls: TlsMode::Disable,
        tls_ca: None,
        tls_cert: None,
        tls_key: None,
        server_id: None,
        application_name: "passerelle".into(),
    }
}

pub(crate) async fn connect(server: &MariadbServer) -> Connection {
    sql::connect(&options(server)).await.unwrap()
}

pub(crate) fn table(name: &str) -> TableName {
    TableName { schema: "shop".into(), name: name.into() }
}
