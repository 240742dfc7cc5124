//! The sandbox's own side: what it holds and counted, its faults, and the page.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{delete, get};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};

use super::faults::Fault;
use super::handle::SandboxHandle;
use super::http::answer;
use super::log::WriteEntry;

/// Most entries or records of one answer, unless a smaller number is asked for.
const MAX_LISTED: usize = 100_000;
/// Most writes of one event: more than a person can follow.
const MAX_SHOWN: usize = 60;
/// The least time between two events.
const PACE: Duration = Duration::from_millis(100);

/// `/` and what lies below `/sandbox`.
pub(super) fn routes() -> Router<SandboxHandle> {
    Router::new()
        .route("/", get(page))
        .route("/sandbox/records", get(records).delete(clear))
        .route("/sandbox/log", get(log))
        .route("/sandbox/stats", get(stats))
        .route("/sandbox/events", get(events))
        .route("/sandbox/faults", get(faults).post(inject).delete(clear_faults))
        .route("/sandbox/faults/{id}", delete(remove_fault))
}

async fn page() -> Response {
    // The page brings everything along and speaks to nobody else.
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:";
    let headers = [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))];
    (headers, Html(include_str!("page.html"))).into_response()
}

/// `?object=Contact`, and `&newest=n` for the last ones written.
async fn records(State(handle): State<SandboxHandle>, Query(asked): Query<HashMap<String, String>>) -> Response {
    let object = asked.get("object").map(String::as_str);
    let newest = asked.get("newest").and_then(|number| number.parse().ok());
    let records = match (object, newest) {
        (Some(object), Some(newest)) => handle.newest(object, newest),
        _ => handle.records(object),
    };
    answer(200, Some(&json!(records)))
}

async fn clear(State(handle): State<SandboxHandle>, headers: HeaderMap) -> Response {
    if is_foreign(&headers) {
        return foreign();
    }
    handle.clear_records();
    answer(204, None)
}

/// `?after=n&limit=m`.
async fn log(State(handle): State<SandboxHandle>, Query(asked): Query<HashMap<String, String>>) -> Response {
    let number = |name: &str| asked.get(name).and_then(|number| number.parse::<u64>().ok());
    let limit =
        number("limit").map_or(MAX_LISTED, |limit| usize::try_from(limit).unwrap_or(MAX_LISTED).min(MAX_LISTED));
    answer(200, Some(&listed(&handle.log_after(number("after").unwrap_or(0), limit))))
}

async fn stats(State(handle): State<SandboxHandle>) -> Response {
    answer(200, Some(&json!(handle.stats())))
}

async fn faults(State(handle): State<SandboxHandle>) -> Response {
    answer(200, Some(&json!(handle.active_faults())))
}

async fn inject(State(handle): State<SandboxHandle>, headers: HeaderMap, body: String) -> Response {
    if is_foreign(&headers) {
        return foreign();
    }
    let added =
        serde_json::from_str::<Fault>(&body).map_err(|error| error.to_string()).and_then(|fault| handle.inject(fault));
    match added {
        Ok(id) => answer(201, Some(&json!({"id": id}))),
        Err(error) => answer(400, Some(&json!({"error": error}))),
    }
}

async fn clear_faults(State(handle): State<SandboxHandle>, headers: HeaderMap) -> Response {
    if is_foreign(&headers) {
        return foreign();
    }
    handle.clear_faults();
    answer(204, None)
}

async fn remove_fault(State(handle): State<SandboxHandle>, headers: HeaderMap, Path(id): Path<u64>) -> Response {
    if is_foreign(&headers) {
        return foreign();
    }
    let status = if handle.remove_fault(id) { 204 } else { 404 };
    answer(status, None)
}

/// What happened since the last event, at most every 100 ms: the newest writes, the counts and the faults.
async fn events(State(handle): State<SandboxHandle>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = handle.changes();
    let first = handle.stats().last_write.saturating_sub(MAX_SHOWN as u64);
    let stream = stream::unfold((handle, changes, first, true), |(handle, mut changes, after, is_first)| async move {
        if !is_first {
            // A quiet second is told too: the gauge falls.
            let _ = tokio::time::timeout(Duration::from_secs(1), changes.changed()).await;
            tokio::time::sleep(PACE).await;
            changes.mark_unchanged();
        }
        let (event, last) = what_happened(&handle, after);
        let event = Event::default().data(event.to_string());
        Some((Ok(event), (handle, changes, last, false)))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

fn listed(entries: &[Arc<WriteEntry>]) -> Value {
    entries.iter().map(|entry| json!(**entry)).collect()
}

/// The event, and the number of the last write it knows of.
fn what_happened(handle: &SandboxHandle, after: u64) -> (Value, u64) {
    let stats = handle.stats();
    let last = stats.last_write;
    let from = after.max(last.saturating_sub(MAX_SHOWN as u64));
    let writes = handle.log_after(from, usize::try_from(last - from).unwrap_or(MAX_SHOWN));
    let objects: Vec<Value> =
        handle.counts().into_iter().map(|(name, count)| json!({"name": name, "count": count})).collect();
    let event = json!({
        "stats": stats, "objects": objects, "faults": handle.active_faults(), "writes": listed(&writes), "skipped": from - after,
    });
    (event, last)
}

/// Whether a page of another site sent this: a browser says so.
fn is_foreign(headers: &HeaderMap) -> bool {
    let told = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    told.is_some_and(|site| site != "same-origin" && site != "none")
}

fn foreign() -> Response {
    answer(403, Some(&json!({"error": "only the sandbox's own page may do this"})))
}
