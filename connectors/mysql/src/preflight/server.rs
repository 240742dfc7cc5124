//! The log, its settings and our rights. Pure.

use passerelle_change::Finding;

use super::Request;
use super::observed::Observed;
use crate::history::{GtidMode, ServerFacts};
use crate::{Flavor, Options};

/// Below this, a weekend without us loses changes: hardly anyone would want it.
const SHORT_SECONDS: u64 = 24 * 3600;

/// What names itself and is no server.
const PROXIES: [&str; 4] = ["proxysql", "maxscale", "vitess", "tidb"];

pub(super) fn findings(observed: &Observed, options: &Options, request: &Request<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(proxy(observed, options));
    findings.extend(rights(observed));
    if observed.setting("log_bin") != "ON" {
        findings.push(
            Finding::fault("log_bin", "the server writes no binary log", "without it no change can be followed").mended_by(
                "in [mysqld] of the server's configuration: log_bin = binlog, server_id = 1, binlog_format = ROW; then restart the server",
            ),
        );
        return findings;
    }
    findings.extend(server_id(observed, options));
    findings.extend(format(observed));
    findings.extend(filters(observed, request));
    findings.extend(replica(observed));
    findings.extend(row_image(observed));
    findings.extend(row_metadata(observed));
    findings.extend(observed.facts.as_ref().and_then(|facts| retention(observed, facts)));
    findings.extend(observed.facts.as_ref().and_then(gtids));
    findings
}

/// MY-16.
fn proxy(observed: &Observed, options: &Options) -> Option<Finding> {
    let text = format!("{} {}", observed.server.version_text, observed.server.version_comment).to_lowercase();
    let name = PROXIES.iter().find(|name| text.contains(*name))?;
    let title = format!("{} is {name}, not the server", options.address());
    Some(
        Finding::fault("proxy", title, "proxies do not pass on the binary log, or filter it")
            .mended_by("set `host` and `port` of the source to the server itself"),
    )
}

fn rights(observed: &Observed) -> Option<Finding> {
    let flavor = observed.server.flavor;
    let log = crate::history::log_right(flavor, observed.server.version);
    let mut missing = Vec::new();
    if !observed.grants.has(&["REPLICATION SLAVE", "REPLICATION REPLICA"]) {
        missing.push("REPLICATION SLAVE");
    }
    if observed.facts.is_none() && !observed.grants.has(&["REPLICATION CLIENT", "BINLOG MONITOR"]) {
        missing.push(log);
    }
    // The first load begins a file of the log, where no GTID says what it has seen.
    let begins_a_file = flavor == Flavor::Mysql && !matches!(observed.setting("gtid_mode"), "ON");
    if begins_a_file && !observed.grants.has(&["RELOAD"]) {
        missing.push("RELOAD");
    }
    if missing.is_empty() {
        return None;
    }
    let missing = missing.join(", ");
    let title = format!("{} lacks {missing}", observed.account);
    Some(
        Finding::fault("grants", title, "the server would not send its log, or say where it is")
            .mended_by(format!("GRANT {missing} ON *.* TO {};", observed.account)),
    )
}

/// MY-08.
fn server_id(observed: &Observed, options: &Options) -> Option<Finding> {
    let theirs = observed.setting("server_id");
    if theirs == "0" {
        let title = "the server's server_id is 0";
        return Some(
            Finding::fault("server_id", title, "a server without a number sends its log to nobody")
                .mended_by("SET GLOBAL server_id = 1; and server_id = 1 in [mysqld] of the server's configuration"),
        );
    }
    let ours = options.server_id?;
    (ours.to_string() == theirs || ours == 0).then(|| {
        let title = format!("server_id = {ours} of the source cannot be used");
        Finding::fault("server_id", title, "it must not be 0, nor that of the server or of another replica")
            .mended_by("leave `server_id` out of the source's configuration, or give it a number of its own")
    })
}

/// MY-33.
fn format(observed: &Observed) -> Option<Finding> {
    let format = observed.setting("binlog_format");
    // Servers that have given up all others have no such setting.
    if format.is_empty() || format.eq_ignore_ascii_case("ROW") {
        return None;
    }
    Some(
        Finding::fault(
            "binlog_format",
            format!("binlog_format is {format}"),
            "statements in the log do not say what they changed; connections that are open keep their format until they end",
        )
        .mended_by("SET GLOBAL binlog_format = 'ROW'; and binlog_format = ROW in [mysqld] of the server's configuration"),
    )
}

/// MY-32.
fn filters(observed: &Observed, request: &Request<'_>) -> Option<Finding> {
    let filters = &observed.filters;
    let ignores_case = observed.server.names_ignore_case();
    let same = |a: &String, b: &str| a == b || (ignores_case && a.to_lowercase() == b.to_lowercase());
    let is_hidden = |schema: &str| {
        filters.ignored.iter().any(|name| same(name, schema))
            || (!filters.only.is_empty() && !filters.only.iter().any(|name| same(name, schema)))
    };
    let (name, _) = request.tables.iter().find(|(name, _)| is_hidden(&name.schema))?;
    let title = format!("changes of database {} are kept out of the log", name.schema);
    Some(
        Finding::fault("binlog_filter", title, "binlog_do_db and binlog_ignore_db choose what the server logs").mended_by(
            format!(
                "remove binlog_ignore_db, or add binlog_do_db = {}, in [mysqld] of the server's configuration; then restart the server",
                name.schema
            ),
        ),
    )
}

/// MY-32.
fn replica(observed: &Observed) -> Option<Finding> {
    let setting =
        ["log_replica_updates", "log_slave_updates"].into_iter().find(|name| !observed.setting(name).is_empty())?;
    if observed.is_replica == Some(false) || observed.setting(setting) != "OFF" {
        return None;
    }
    let mend = format!("{setting} = ON in [mysqld] of the server's configuration; then restart the server");
    let detail = "what it receives from its primary is not in its own log";
    let finding = match observed.is_replica {
        Some(_) => {
            Finding::fault("log_replica_updates", format!("the server is a replica, and {setting} is OFF"), detail)
        }
        None => Finding::warning(
            "log_replica_updates",
            format!("{setting} is OFF, and our user may not see whether the server is a replica"),
            detail,
        ),
    };
    Some(finding.mended_by(mend))
}

/// MY-55 to MY-57.
fn row_image(observed: &Observed) -> Option<Finding> {
    let image = observed.setting("binlog_row_image");
    let is_whole = matches!(image.to_ascii_uppercase().as_str(), "" | "FULL" | "FULL_NODUP");
    if !observed.setting("binlog_row_value_options").is_empty() && !is_whole {
        return Some(
            Finding::warning(
                "binlog_row_image",
                format!("binlog_row_image is {image}, and JSON is logged in parts"),
                "where the log has a part of a document and not the document, its row is read again from the table",
            )
            .mended_by("SET GLOBAL binlog_row_image = 'FULL'; or SET GLOBAL binlog_row_value_options = '';"),
        );
    }
    (!is_whole).then(|| {
        Finding::warning(
            "binlog_row_image",
            format!("binlog_row_image is {image}"),
            "the log has only what changed of a row; columns that are mapped later must be read from the table",
        )
        .mended_by("SET GLOBAL binlog_row_image = 'FULL'; and the same in [mysqld] of the server's configuration")
    })
}

/// MY-52.
fn row_metadata(observed: &Observed) -> Option<Finding> {
    let metadata = observed.setting("binlog_row_metadata");
    if metadata.is_empty() || metadata.eq_ignore_ascii_case("FULL") {
        return None;
    }
    Some(
        Finding::warning(
            "binlog_row_metadata",
            format!("binlog_row_metadata is {metadata}"),
            "the log does not name columns: a table that is altered is held until its catalogue has been read again, \
             and what was logged before under other columns cannot be read",
        )
        .mended_by(
            "SET GLOBAL binlog_row_metadata = 'FULL'; and binlog_row_metadata = FULL in [mysqld] of the server's configuration",
        ),
    )
}

/// MY-15. Managed services ignore the server's own settings.
fn retention(observed: &Observed, facts: &ServerFacts) -> Option<Finding> {
    if observed.setting("basedir").contains("rdsdbbin") {
        return Some(
            Finding::warning(
                "retention",
                "how long the log is kept is a setting of the service",
                "Amazon RDS throws files away as soon as it has backed them up, unless it is told how many hours to keep them",
            )
            .mended_by("CALL mysql.rds_set_configuration('binlog retention hours', 168);"),
        );
    }
    let seconds = facts.expire_seconds?;
    if seconds >= SHORT_SECONDS {
        return None;
    }
    let has_seconds = !observed.setting("binlog_expire_logs_seconds").is_empty();
    let (statement, line) = if has_seconds {
        ("SET GLOBAL binlog_expire_logs_seconds = 604800;", "binlog_expire_logs_seconds = 604800")
    } else {
        ("SET GLOBAL expire_logs_days = 7;", "expire_logs_days = 7")
    };
    Some(
        Finding::warning(
            "retention",
            format!("the log is kept for {} alone", passed(seconds)),
            "if passerelle stands still for longer, changes are lost and everything has to be read again",
        )
        .mended_by(format!("{statement} and {line} in [mysqld] of the server's configuration")),
    )
}

/// MY-22.
fn gtids(facts: &ServerFacts) -> Option<Finding> {
    (facts.gtid_mode != GtidMode::On).then(|| {
        Finding::warning(
            "gtid_mode",
            "gtid_mode is not ON",
            "transactions have no names: after a failover the place in the log of the other server is not known, \
             nor can one behind 4 GiB of a file be asked for",
        )
        .mended_by(
            "SET GLOBAL enforce_gtid_consistency = ON; SET GLOBAL gtid_mode = OFF_PERMISSIVE; \
             SET GLOBAL gtid_mode = ON_PERMISSIVE; SET GLOBAL gtid_mode = ON; and both in [mysqld] of the server's configuration",
        )
    })
}

fn passed(seconds: u64) -> String {
    if seconds >= 7_200 { format!("{} hours", seconds / 3_600) } else { format!("{} minutes", seconds.div_ceil(60)) }
}

#[cfg(test)]
pub(super) mod tests;
