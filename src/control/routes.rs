//! What is answered on which path.

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Query, Request as HttpRequest, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::model::{DeadLetter, DeadLetterPage, DriftList, Offsets, Status};
use super::request::{AcceptDrift, CommandError, CommandFault, DeadLetterQuery, Done, Handle, Request, Retry, Target};
use super::{health, metrics};

/// Commands are small.
const BODY_BYTES: usize = 16 * 1024;
/// The most a request may take, its body included. Pausing waits for what is in flight.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
/// A reading shows what is on the board after this time, however busy the daemon is.
const REFRESH_WITHIN: Duration = Duration::from_secs(1);
/// The most dead letters on a page.
const PAGE_MOST: usize = 1_000;
/// The page without a limit in the request.
const PAGE: usize = 100;

/// Who is at the other end of the socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// Whether they may change something.
    pub(super) commands: bool,
}

type Answer<T> = Result<Json<T>, CommandError>;

/// Everything, for the status socket.
pub(super) fn socket(handle: Handle) -> Router {
    let readings = readings()
        .route("/v1/offsets", get(offsets))
        .route("/v1/drift", get(drift))
        .route("/v1/dead-letters", get(list_dead_letters))
        .route("/v1/dead-letters/show", get(show_dead_letter));
    let commands = Router::new()
        .route("/v1/dead-letters/retry", post(retry_dead_letters))
        .route("/v1/dead-letters/drop", post(drop_dead_letter))
        .route("/v1/drift/accept", post(accept_drift))
        .route("/v1/pause", post(pause))
        .route("/v1/resume", post(resume))
        .route("/v1/reload", post(reload))
        .route("/v1/alert/test", post(test_alerts));
    bounded(readings.merge(commands), handle)
}

/// The readings that hold no cell value and a page that shows them, for the loopback address.
pub(super) fn loopback(handle: Handle) -> Router {
    bounded(readings().route("/", get(page)), handle)
}

fn readings() -> Router<Handle> {
    Router::new().route("/v1/status", get(status)).route("/metrics", get(prometheus)).route("/healthz", get(healthz))
}

fn bounded(router: Router<Handle>, handle: Handle) -> Router {
    router
        .fallback(|| async { CommandError::new(CommandFault::NotFound, "nothing is served on this path") })
        .method_not_allowed_fallback(|| async { StatusCode::METHOD_NOT_ALLOWED })
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn(within_time))
        .with_state(handle)
}

async fn within_time(request: HttpRequest, next: Next) -> Response {
    let late = || {
        CommandError::new(CommandFault::Unavailable, "the daemon did not answer in time")
            .hint("the command may still take effect: see `passerelle status`")
    };
    match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
        Ok(mut response) => {
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }
        Err(_) => late().into_response(),
    }
}

async fn status(State(handle): State<Handle>) -> Json<Status> {
    refresh(&handle).await;
    Json(read_status(&handle).await)
}

async fn offsets(State(handle): State<Handle>) -> Json<Offsets> {
    refresh(&handle).await;
    Json(handle.board.offsets_document())
}

/// Which drift to show: of one mapping, or all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drifted {
    mapping: Option<String>,
}

async fn drift(State(handle): State<Handle>, Asked(asked): Asked<Drifted>) -> Answer<DriftList> {
    let mut list = handle.board.drift_document();
    if let Some(mapping) = asked.mapping {
        list.drift.retain(|drift| drift.mapping.as_deref() == Some(&*mapping));
        if list.drift.is_empty() {
            known_mapping(&handle, &mapping)?;
        }
    }
    Ok(Json(list))
}

fn known_mapping(handle: &Handle, name: &str) -> Result<(), CommandError> {
    let known = handle.board.status(Timestamp::now()).mappings;
    if known.iter().any(|mapping| mapping.name == name) {
        return Ok(());
    }
    let fault = CommandError::new(CommandFault::NotFound, format!("no mapping is named {name}"));
    Err(match crate::config::nearest(name, known.iter().map(|mapping| mapping.name.as_str())) {
        Some(near) => fault.hint(format!("did you mean {near}?")),
        None => fault,
    })
}

async fn accept_drift(State(handle): State<Handle>, Command(accept): Command<AcceptDrift>) -> Answer<Done> {
    if accept.mapping.is_empty() {
        return Err(CommandError::new(CommandFault::Invalid, "nothing says which mapping's drift to accept"));
    }
    handle.ask(|reply| Request::AcceptDrift { accept, reply }).await.map(Json)
}

async fn prometheus(State(handle): State<Handle>) -> impl IntoResponse {
    refresh(&handle).await;
    let text = metrics::render(&read_status(&handle).await, &handle.board.offsets_document());
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text)
}

async fn healthz(State(handle): State<Handle>) -> (StatusCode, String) {
    let now = Timestamp::now();
    let faults = health::faults(&handle.board.status(now), now);
    if faults.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, faults.join("\n") + "\n")
    }
}

async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("dashboard.html")))
}

async fn list_dead_letters(
    State(handle): State<Handle>,
    Asked(mut query): Asked<DeadLetterQuery>,
) -> Answer<DeadLetterPage> {
    query.limit = Some(query.limit.unwrap_or(PAGE).clamp(1, PAGE_MOST));
    handle.ask(|reply| Request::ListDeadLetters { query, reply }).await.map(Json)
}

/// One dead letter by its mapping and row key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    mapping: String,
    key: String,
}

async fn show_dead_letter(State(handle): State<Handle>, Asked(one): Asked<One>) -> Answer<DeadLetter> {
    let One { mapping, key } = one;
    handle.ask(|reply| Request::ShowDeadLetter { mapping, key, reply }).await.map(Json)
}

async fn retry_dead_letters(State(handle): State<Handle>, Command(retry): Command<Retry>) -> Answer<Done> {
    check_retry(&retry)?;
    handle.ask(|reply| Request::RetryDeadLetters { retry, reply }).await.map(Json)
}

async fn drop_dead_letter(State(handle): State<Handle>, Command(one): Command<One>) -> Answer<Done> {
    let One { mapping, key } = one;
    handle.ask(|reply| Request::DropDeadLetter { mapping, key, reply }).await.map(Json)
}

/// Body of `/v1/pause`: `{"target": "writes"}`, `{"target": {"mapping": "contacts"}}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pausing {
    target: Target,
}

async fn pause(State(handle): State<Handle>, Command(Pausing { target }): Command<Pausing>) -> Answer<Done> {
    handle.ask(|reply| Request::Pause { target, reply }).await.map(Json)
}

/// Body of `/v1/resume`: as of `/v1/pause`, and `"confirm": true` for deletions that the guard holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resuming {
    target: Target,
    #[serde(default)]
    confirm: bool,
}

async fn resume(State(handle): State<Handle>, Command(body): Command<Resuming>) -> Answer<Done> {
    let Resuming { target, confirm } = body;
    handle.ask(|reply| Request::Resume { target, confirm, reply }).await.map(Json)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reloading {
    #[serde(default)]
    dry_run: bool,
}

async fn reload(State(handle): State<Handle>, Command(body): Command<Reloading>) -> Answer<Done> {
    handle.ask(|reply| Request::Reload { dry_run: body.dry_run, reply }).await.map(Json)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Testing {
    #[serde(default)]
    name: Option<String>,
}

async fn test_alerts(State(handle): State<Handle>, Command(body): Command<Testing>) -> Answer<Done> {
    handle.ask(|reply| Request::TestAlerts { name: body.name, reply }).await.map(Json)
}

/// A choice that says nothing would retry everything by mistake; a key belongs to a mapping.
fn check_retry(retry: &Retry) -> Result<(), CommandError> {
    if retry.key.is_some() && retry.mapping.is_none() {
        return Err(CommandError::new(CommandFault::Invalid, "a key needs its mapping"));
    }
    if !retry.all && retry.mapping.is_none() && retry.code.is_none() {
        let fault = CommandError::new(CommandFault::Invalid, "nothing says which dead letters to retry");
        return Err(fault.hint("name a mapping, a code, or ask for all"));
    }
    Ok(())
}

async fn read_status(handle: &Handle) -> Status {
    let mut status = handle.board.status(Timestamp::now());
    if status.daemon.memory_bytes.is_none() {
        status.daemon.memory_bytes = resident_bytes().await;
    }
    status
}

/// Lets the daemon bring the dear figures up to date; an old figure is better than no answer.
async fn refresh(handle: &Handle) {
    let asked = handle.ask(|reply| Request::Refresh { reply });
    match tokio::time::timeout(REFRESH_WITHIN, asked).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "figures were not refreshed for a reading"),
        Err(_) => tracing::debug!("figures were not refreshed in time for a reading"),
    }
}

/// `VmRSS` of proc(5), in bytes.
async fn resident_bytes() -> Option<u64> {
    let status = tokio::fs::read_to_string("/proc/self/status").await.ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// A query string that is read or refused as JSON.
struct Asked<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = CommandError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, CommandError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(refusal) => Err(CommandError::new(CommandFault::Invalid, refusal.body_text())),
        }
    }
}

/// The body of a command: read only when the peer may command.
struct Command<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Command<T> {
    type Rejection = CommandError;

    async fn from_request(request: HttpRequest, state: &S) -> Result<Self, CommandError> {
        let peer = request.extensions().get::<Peer>();
        if !peer.is_some_and(|peer| peer.commands) {
            let fault = CommandError::new(CommandFault::Forbidden, "this user may read, not command");
            return Err(fault.hint("run it as root or as the daemon's user, with sudo"));
        }
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(refusal) => Err(CommandError::new(CommandFault::Invalid, refusal.body_text())),
        }
    }
}

impl IntoResponse for CommandError {
    fn into_response(self) -> Response {
        let status = match self.code {
            CommandFault::NotFound => StatusCode::NOT_FOUND,
            CommandFault::Conflict => StatusCode::CONFLICT,
            CommandFault::Invalid => StatusCode::BAD_REQUEST,
            CommandFault::Forbidden => StatusCode::FORBIDDEN,
            CommandFault::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            CommandFault::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(serde_json::json!({ "error": self }))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Extension;
    use axum::body::Body;
    use http_body_util::BodyExt;
    use tokio::sync::mpsc;
    use tower::ServiceExt;

    use super::*;
    use crate::control::Board;
    use crate::control::model::{DaemonState, Drift, SourceState};
    use crate::control::request::QUEUE;

    /// A daemon that answers pauses and lists, and repeats what it was asked.
    fn daemon() -> Handle {
        let (requests, mut asked) = mpsc::channel(QUEUE);
        let board = Arc::new(Board::new());
        board.daemon(|daemon| daemon.state = DaemonState::Running);
        board.source("erp", |source| source.state = SourceState::Streaming);
        let refreshed = board.clone();
        tokio::spawn(async move {
            while let Some(request) = asked.recv().await {
                match request {
                    Request::Refresh { reply } => {
                        refreshed.mapping("contacts", |mapping| mapping.pending = Some(12));
                        let _ = reply.send(Ok(()));
                    }
                    Request::Pause { target, reply } => {
                        let _ = reply.send(Ok(Done::new(format!("{target:?}"), 1)));
                    }
                    Request::AcceptDrift { accept, reply } => {
                        let _ = reply.send(Ok(Done::new(format!("{accept:?}"), 1)));
                    }
                    Request::ListDeadLetters { query, reply } => {
                        let page = DeadLetterPage { dead_letters: vec![], next: Some(format!("{query:?}")) };
                        let _ = reply.send(Ok(page));
                    }
                    Request::ShowDeadLetter { key, reply, .. } => {
                        let _ = reply.send(Err(CommandError::new(CommandFault::NotFound, format!("no {key}"))));
                    }
                    _ => {}
                }
            }
        });
        Handle { board, requests }
    }

    async fn ask(router: Router, commands: bool, method: &str, path: &str, body: &str) -> (StatusCode, String) {
        let request = HttpRequest::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = router.layer(Extension(Peer { commands })).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_reading_refreshes_first() {
        let (status, body) = ask(socket(daemon()), false, "GET", "/v1/status", "").await;
        assert_eq!(status, StatusCode::OK);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["mappings"][0]["pending"], 12);
        assert!(body["daemon"]["memory_bytes"].as_u64().unwrap() > 0);
    }

    #[tokio::test]
    async fn a_reading_does_without_a_daemon_that_has_stopped() {
        let (requests, asked) = mpsc::channel(1);
        drop(asked);
        let handle = Handle { board: Arc::new(Board::new()), requests };
        assert_eq!(ask(socket(handle.clone()), false, "GET", "/v1/status", "").await.0, StatusCode::OK);
        let (status, body) = ask(socket(handle), true, "POST", "/v1/reload", "{}").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("the daemon is stopping"), "{body}");
    }

    #[tokio::test]
    async fn commands_need_the_right_user() {
        let body = r#"{"target": {"mapping": "contacts"}}"#;
        let (status, text) = ask(socket(daemon()), true, "POST", "/v1/pause", body).await;
        assert_eq!((status, text.contains("Mapping")), (StatusCode::OK, true), "{text}");
        let (status, text) = ask(socket(daemon()), false, "POST", "/v1/pause", body).await;
        assert_eq!((status, text.contains("forbidden")), (StatusCode::FORBIDDEN, true), "{text}");
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused_as_json() {
        let check = |method: &'static str, path: &'static str, body: &'static str, expect: (u16, &'static str)| async move {
            let (status, text) = ask(socket(daemon()), true, method, path, body).await;
            assert_eq!(status.as_u16(), expect.0, "{path} {text}");
            let error: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(error["error"]["code"], expect.1, "{path} {text}");
        };
        check("POST", "/v1/pause", "{}", (400, "invalid")).await;
        check("POST", "/v1/pause", r#"{"target": "writes", "for": 1}"#, (400, "invalid")).await;
        check("POST", "/v1/dead-letters/retry", "{}", (400, "invalid")).await;
        check("POST", "/v1/dead-letters/retry", r#"{"key": "1"}"#, (400, "invalid")).await;
        check("GET", "/v1/dead-letters?limit=many", "", (400, "invalid")).await;
        check("GET", "/v1/dead-letters/show?mapping=m&key=7%2F8", "", (404, "not_found")).await;
        check("GET", "/v1/nothing", "", (404, "not_found")).await;
        let large = format!("{{\"target\": \"{}\"}}", "x".repeat(BODY_BYTES));
        assert_eq!(ask(socket(daemon()), true, "POST", "/v1/pause", &large).await.0, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn drift_of_one_mapping_and_what_is_accepted_of_it() {
        let drifted = || {
            let handle = daemon();
            handle.board.mapping("contacts", |_| {});
            handle.board.mapping("orders", |_| {});
            let drift = |mapping: &str| Drift { mapping: Some(mapping.to_owned()), ..Drift::default() };
            handle.board.drift(|shown| shown.extend([drift("contacts"), drift("contacts")]));
            socket(handle)
        };
        for (path, expect) in [("/v1/drift", 2), ("/v1/drift?mapping=contacts", 2), ("/v1/drift?mapping=orders", 0)] {
            let (status, text) = ask(drifted(), false, "GET", path, "").await;
            assert_eq!((status, text.matches("\"answers\"").count()), (StatusCode::OK, expect), "{path} {text}");
        }
        let (status, text) = ask(drifted(), false, "GET", "/v1/drift?mapping=contact", "").await;
        assert_eq!((status, text.contains("did you mean contacts?")), (StatusCode::NOT_FOUND, true), "{text}");
        let body = r#"{"mapping": "contacts", "decisions": [{"rename": {"column": "a", "to": "b"}}, {"drop": "c"}]}"#;
        let (status, text) = ask(drifted(), true, "POST", "/v1/drift/accept", body).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        assert!(text.contains("Rename { column: \\\"a\\\", to: \\\"b\\\" }, Drop(\\\"c\\\")"), "{text}");
        assert_eq!(ask(drifted(), false, "POST", "/v1/drift/accept", body).await.0, StatusCode::FORBIDDEN);
        for body in ["{}", r#"{"mapping": "contacts", "decisions": [{"keep": "c"}]}"#] {
            assert_eq!(
                ask(drifted(), true, "POST", "/v1/drift/accept", body).await.0,
                StatusCode::BAD_REQUEST,
                "{body}"
            );
        }
    }

    #[tokio::test]
    async fn a_page_is_bounded() {
        let (_, text) = ask(socket(daemon()), false, "GET", "/v1/dead-letters?limit=1000000", "").await;
        assert!(text.contains("limit: Some(1000)"), "{text}");
        let (_, text) = ask(socket(daemon()), false, "GET", "/v1/dead-letters?mapping=a", "").await;
        assert!(text.contains("limit: Some(100)") && text.contains("Some(\\\"a\\\")"), "{text}");
    }

    #[tokio::test]
    async fn the_loopback_address_reads_and_no_more() {
        let check = |method: &'static str, path: &'static str, expect: u16| async move {
            assert_eq!(ask(loopback(daemon()), true, method, path, "{}").await.0.as_u16(), expect, "{method} {path}");
        };
        for path in ["/", "/v1/status", "/metrics", "/healthz"] {
            check("GET", path, 200).await;
            check("POST", path, 405).await;
        }
        for path in ["/v1/dead-letters", "/v1/dead-letters/show?mapping=m&key=1", "/v1/offsets", "/v1/pause"] {
            check("GET", path, 404).await;
            check("POST", path, 404).await;
        }
    }

    #[tokio::test]
    async fn health_names_the_reason() {
        let handle = daemon();
        handle.board.source("erp", |source| {
            source.state = SourceState::Stopped;
            source.reason = Some("the slot is lost".to_owned());
        });
        let (status, text) = ask(socket(handle), false, "GET", "/healthz", "").await;
        assert_eq!((status.as_u16(), text.as_str()), (503, "source erp is stopped: the slot is lost\n"));
    }
}
