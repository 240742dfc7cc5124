//! HTTP around the API: counting, faults, tokens, limits, and the answer's headers, in this order.

use std::collections::HashMap;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use axum::routing::any;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::connection::{Connections, Knife};
use super::control;
use super::faults::{After, Before};
use super::handle::{SandboxHandle, micros};
use super::problem::Refusal;
use super::rest::{Call, object_of, writes};

/// Largest body of a call, as the vendor's.
const MAX_BODY: usize = 50 << 20;

/// Serves until it is told to stop, or nobody can tell it any more.
pub(super) async fn serve(listener: TcpListener, handle: SandboxHandle, stopped: oneshot::Receiver<()>) {
    let app = Router::new()
        .route("/services/data", any(versions))
        .route("/services/data/", any(versions))
        .route("/services/data/{*rest}", any(data))
        .route("/services/oauth2/token", any(token))
        .route("/services/oauth2/userinfo", any(userinfo))
        .merge(control::routes())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(handle);
    let service = app.into_make_service_with_connect_info::<Knife>();
    // Nothing that is open is waited for: whoever ends a CRM wants it gone.
    let (connections, _cut_all) = Connections::new(listener);
    let serving = axum::serve(connections, service);
    tokio::select! {
        _ = serving.into_future() => {}
        _ = stopped => {}
    }
}

async fn versions() -> Response {
    let of = |version: u32| json!({"label": format!("v{version}.0"), "url": format!("/services/data/v{version}.0"), "version": format!("{version}.0")});
    answer(200, Some(&(60..=66).map(of).collect()))
}

/// Counts a call as over when it is, also if the client went away.
struct Counted<'a>(&'a SandboxHandle);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.meter().left();
        self.0.touch();
    }
}

/// A call to the API.
async fn data(
    State(handle): State<SandboxHandle>,
    ConnectInfo(knife): ConnectInfo<Knife>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    handle.meter().arrive(Instant::now());
    let _counted = Counted(&handle);
    let segments: Option<Vec<String>> =
        uri.path().trim_start_matches("/services/data/").split('/').map(decode_percent).collect();
    let segments = segments.unwrap_or_default();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let object = object_of(&path);
    let outcome = match prepare(&handle, &knife, &headers, object).await {
        Ok(()) => call(&handle, &method, &uri, &headers, &path, &body),
        Err(refusal) => Err(refusal),
    };
    let wrote = outcome.is_ok() && writes(&method, path.get(1..).unwrap_or_default());
    let fault = if wrote { handle.faults().after(Instant::now(), object) } else { None };
    match fault {
        Some(After::Cut) => knife.cut(),
        Some(After::Hang(held)) => tokio::time::sleep(held).await,
        None => {}
    }
    if !handle.latency().is_zero() {
        tokio::time::sleep(handle.latency()).await;
    }
    let mut response = match outcome {
        Ok((status, body)) => answer(status, body.as_ref()),
        Err(refusal) => {
            handle.count_refused_call();
            refused(&refusal)
        }
    };
    if let Ok(info) = HeaderValue::from_str(&handle.limit_info()) {
        response.headers_mut().insert(HeaderName::from_static("sforce-limit-info"), info);
    }
    response
}

/// What comes before a call is looked at: the connection, the token, the limits.
async fn prepare(
    handle: &SandboxHandle,
    knife: &Knife,
    headers: &HeaderMap,
    object: Option<&str>,
) -> Result<(), Refusal> {
    let now = Instant::now();
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = handle.tokens().check(authorization, now);
    let fault = handle.faults().before(now, object, token.as_ref().copied().unwrap_or(0));
    match fault {
        Some(Before::Cut) => {
            knife.cut();
            // Never seen by the client.
            return Err(Refusal::new(503, "SERVER_UNAVAILABLE", "cut"));
        }
        Some(Before::Refuse(refusal)) => return Err(refusal),
        Some(Before::Hang(held)) => tokio::time::sleep(held).await,
        None => {}
    }
    token?;
    handle.meter().admit(Instant::now())
}

fn call(
    handle: &SandboxHandle,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    path: &[&str],
    body: &[u8],
) -> Result<(u16, Option<Value>), Refusal> {
    let (version, path) = match path {
        [version, rest @ ..] if is_version(version) => (*version, rest),
        _ => return Err(Refusal::not_found()),
    };
    let content_type = headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or_default());
    if !body.is_empty() && !content_type.starts_with("application/json") {
        let text = format!("Content type {content_type} is not supported");
        return Err(Refusal::new(415, "UNSUPPORTED_MEDIA_TYPE", text));
    }
    if path == ["limits"] {
        return Ok((200, Some(handle.limits_answer())));
    }
    let query = Query::<HashMap<String, String>>::try_from_uri(uri).map(|Query(query)| query).unwrap_or_default();
    let call = Call { method, version, path, query: &query, body, now: (micros(), Instant::now()) };
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let user = super::tokens::Tokens::user(authorization);
    let mut store = handle.store();
    store.user = user;
    let mut faults = handle.faults();
    call.answer(&mut store, &mut faults)
}

/// `POST /services/oauth2/token`.
async fn token(
    State(handle): State<SandboxHandle>,
    ConnectInfo(knife): ConnectInfo<Knife>,
    method: Method,
    body: String,
) -> Response {
    let now = Instant::now();
    if handle.faults().is_down(now) {
        knife.cut();
        return answer(503, None);
    }
    // A form is written like a query.
    let form = format!("/?{body}")
        .parse::<Uri>()
        .ok()
        .and_then(|uri| Query::<HashMap<String, String>>::try_from_uri(&uri).ok());
    let Some(Query(form)) = form.filter(|_| method == Method::POST) else {
        return answer(400, Some(&json!({"error": "invalid_request", "error_description": "a form is needed"})));
    };
    let given = handle.tokens().give(&form, handle.url(), now, micros() / 1_000_000);
    match given {
        Ok(body) => answer(200, Some(&body)),
        Err((error, description)) => answer(400, Some(&json!({"error": error, "error_description": description}))),
    }
}

/// `GET /services/oauth2/userinfo`.
async fn userinfo(State(handle): State<SandboxHandle>, headers: HeaderMap) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let checked = handle.tokens().check(authorization, Instant::now());
    match checked {
        Ok(_) => {
            let (url, user) = (handle.url(), super::tokens::Tokens::user(authorization));
            let body = json!({
                "sub": format!("{url}/id/00DPA0000000001/{user}"), "user_id": user, "name": "Sandbox",
                "organization_id": "00DPA0000000001", "preferred_username": "integration@sandbox.invalid",
                "urls": {"rest": format!("{url}/services/data/v{{version}}/")},
            });
            answer(200, Some(&body))
        }
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let mut response = answer(refusal.status, Some(&refusal.body()));
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

pub(super) fn answer(status: u16, body: Option<&Value>) -> Response {
    let text = body.map(Value::to_string);
    let has_body = text.is_some();
    let mut response = Response::new(text.map_or_else(Body::empty, Body::from));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if has_body {
        let json = HeaderValue::from_static("application/json;charset=UTF-8");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
    }
    response
}

/// `v66.0` and its like.
fn is_version(text: &str) -> bool {
    let number = text.strip_prefix('v').and_then(|number| number.split_once('.'));
    number.is_some_and(|(major, minor)| {
        !major.is_empty() && minor == "0" && major.len() <= 3 && major.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// Decodes one segment of a path; `None` if it is no UTF-8 or a `%` stands wrong.
fn decode_percent(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            bytes.push((digit(rest.next())? * 16 + digit(rest.next())?) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
