//! The daemon: opens the state, the socket and the pipelines, and ends them in order.
//!
//! The socket is there first and ends last. A new configuration that was found good ends the pipelines as a stop does and
//! begins them again: the one way from a configuration to what runs. A source that can't be reached keeps its own pipeline waiting and no other;
//! a CRM's delivery begins when the mappings of all its sources are known.

mod drift;
mod reload;
mod requests;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use passerelle_change::{Class, ColumnIds};
use passerelle_crm::limiter::DayRecord;
use passerelle_crm::{Limiter, Limits, Moment, Salesforce};
use passerelle_state::{Gate, MappingId, SourceId, StateError, Store};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::alert::{self, Alerts};
use crate::capture::{Capture, Durable, Fitting, Lanes, gate_for};
use crate::config::{Faults, Files, Loaded, model};
use crate::control::board::{Board, Entry};
use crate::control::growth::Growth;
use crate::control::model::{DaemonState, SourceState};
use crate::control::request::{self, Handle};
use crate::control::server::{self, Server};
use crate::delivery::{Client, Command, Delivery, LaneSetup, LineSetup, SourceView};
use crate::mapping::MappingFault;
use crate::source::{self, CompiledMapping, SetupFault, Source, chain};
use crate::wanted::Wanted;

/// Inputs between the connector and capture.
const INPUTS: usize = 2;
/// How long a source that can't be reached waits before it is tried again.
const SETUP_WAIT: Duration = Duration::from_secs(5);

/// What is set up of a source.
struct ReadySource {
    id: SourceId,
    config: model::Source,
    gate: Arc<Gate>,
    durable: watch::Receiver<Durable>,
    wanted: Arc<Wanted>,
    tables: Arc<source::Tables>,
    mappings: Vec<CompiledMapping>,
}

/// What everything shares.
struct Shared {
    store: Arc<Store>,
    board: Arc<Board>,
    ids: Arc<Mutex<ColumnIds>>,
    daemon: model::Daemon,
    stop: CancellationToken,
    /// Delivery outlives the sources a little, so that what is under way is settled.
    stop_delivery: CancellationToken,
    /// Told what is asked of them.
    alerts: Arc<Alerts>,
    /// A source is to be set up anew.
    outdated: CancellationToken,
}

/// What runs, and ends the daemon when it fails.
type Pipelines = JoinSet<anyhow::Result<()>>;

/// Why the pipelines ended in good order.
enum End {
    Stopped,
    /// The same configuration again.
    SetUpAnew,
    Reload(Box<Loaded>),
}

/// Runs the daemon until SIGTERM or SIGINT; SIGHUP reads the configuration again. Faults of the mappings come back as
/// [`Faults`].
pub async fn run(loaded: Loaded, path: PathBuf) -> anyhow::Result<()> {
    let daemon = loaded.config.daemon.clone();
    let store = Arc::new(Store::open(&daemon.state_dir)?);
    let board = Arc::new(Board::new());
    let (requests, inbox) = mpsc::channel(request::QUEUE);
    let handle = Handle { board: Arc::clone(&board), requests };
    let server = Server::bind(&server::Options { socket: daemon.socket, http: daemon.http }).await?;
    let stop_server = CancellationToken::new();
    let serving = tokio::spawn(server.run(handle.clone(), stop_server.clone()));

    let alerts = Arc::new(alert::start(handle.clone(), Arc::clone(&store))?);
    let stop = CancellationToken::new();
    let signals = [tokio::spawn(stop_on_signal(stop.clone())), tokio::spawn(reload_on_signal(handle))];
    // Not under systemd, or an old one: nothing is lost.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let watchdog = tokio::spawn(watchdog());
    let forecast = tokio::spawn(forecast_disk(Arc::clone(&store), Arc::clone(&board), daemon.disk_budget_bytes));
    let result = configurations(loaded, &store, &board, &alerts, &stop, inbox, &path).await;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    let result = result.and(alerts.stop().await);
    store.sync()?;
    stop_server.cancel();
    serving.await.context("the status socket")?;
    signals.iter().for_each(tokio::task::JoinHandle::abort);
    watchdog.abort();
    forecast.abort();
    result
}

/// Runs one configuration after the other.
async fn configurations(
    mut loaded: Loaded,
    store: &Arc<Store>,
    board: &Arc<Board>,
    alerts: &Arc<Alerts>,
    stop: &CancellationToken,
    mut inbox: mpsc::Receiver<request::Request>,
    path: &Path,
) -> anyhow::Result<()> {
    loop {
        let config = &loaded.config;
        board.daemon(|daemon| {
            daemon.state = DaemonState::Starting;
            daemon.config_hash = Some(config.hash.clone());
            daemon.config_stale = Some(false);
        });
        board.retain(|kind, name| match kind {
            Entry::Source => config.sources.contains_key(name),
            Entry::Mapping => config.mappings.contains_key(name),
            Entry::Crm => config.crms.contains_key(name),
        });
        alerts.configure(config);
        let shared = Arc::new(Shared {
            ids: Arc::new(Mutex::new(ColumnIds::from_known(store.columns()?))),
            store: Arc::clone(store),
            board: Arc::clone(board),
            daemon: config.daemon.clone(),
            stop: stop.child_token(),
            stop_delivery: CancellationToken::new(),
            alerts: Arc::clone(alerts),
            outdated: CancellationToken::new(),
        });
        match pipelines(&loaded, &shared, &mut inbox, path).await? {
            End::Stopped => return Ok(()),
            End::SetUpAnew => {}
            End::Reload(next) => {
                loaded = *next;
                tracing::info!(config_hash = loaded.config.hash, "the configuration was read again");
            }
        }
    }
}

/// Sets the sources up, then the deliveries, then serves requests until the end.
async fn pipelines(
    loaded: &Loaded,
    shared: &Arc<Shared>,
    inbox: &mut mpsc::Receiver<request::Request>,
    path: &Path,
) -> anyhow::Result<End> {
    let config = &loaded.config;
    let mut sources: Pipelines = JoinSet::new();
    let mut deliveries: Pipelines = JoinSet::new();
    let mut setups = JoinSet::new();
    for source in config.sources.values() {
        let mappings = config.mappings.values().filter(|mapping| mapping.source == source.name);
        let mappings: Vec<_> = mappings.cloned().map(Arc::new).collect();
        if mappings.is_empty() {
            continue;
        }
        setups.spawn(set_up(Arc::clone(shared), source.clone(), mappings));
    }
    let mut desk = requests::Desk::new(Arc::clone(shared), loaded, path, inbox);
    let mut ready: BTreeMap<String, ReadySource> = BTreeMap::new();
    let result = loop {
        tokio::select! {
            () = shared.stop.cancelled() => break Ok(End::Stopped),
            () = shared.outdated.cancelled() => break Ok(End::SetUpAnew),
            Some(set_up) = setups.join_next() => match set_up? {
                Ok(Some((source, pipeline))) => {
                    desk.know(&source);
                    sources.spawn(pipeline);
                    ready.insert(source.config.name.clone(), source);
                    begin_deliveries(config, shared, &mut ready, &mut desk, &mut deliveries)?;
                    if setups.is_empty() {
                        shared.board.daemon(|daemon| daemon.state = DaemonState::Running);
                    }
                }
                Ok(None) => {}
                Err(SetupFault::Mappings(faults)) => break Err(source_faults(faults, loaded.files.clone()).into()),
                Err(SetupFault::State(error)) => break Err(error.into()),
                Err(SetupFault::Database(error)) => break Err(error.into()),
            },
            Some(ended) = sources.join_next() => if let Err(error) = ended? { break Err(error) },
            Some(ended) = deliveries.join_next() => if let Err(error) = ended? { break Err(error) },
            () = desk.serve() => if let Some(next) = desk.next() { break Ok(End::Reload(Box::new(next))) },
        }
    };
    shared.board.daemon(|daemon| daemon.state = DaemonState::Stopping);
    setups.abort_all();
    shared.stop.cancel();
    let mut result = result;
    while let Some(ended) = sources.join_next().await {
        result = result.and_then(|end| ended.map_err(Into::into).flatten().map(|()| end));
    }
    shared.stop_delivery.cancel();
    while let Some(ended) = deliveries.join_next().await {
        result = result.and_then(|end| ended.map_err(Into::into).flatten().map(|()| end));
    }
    result
}

/// Faults of the mappings as a screen shows them.
fn source_faults(faults: Vec<MappingFault>, files: Files) -> Faults {
    let list = faults.into_iter().map(|fault| fault.shown(&files)).collect();
    Faults::new(list, files)
}

type SourcePipeline = std::pin::Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// Reads a source's catalogue, or takes it as it was read last where the database is away. Neither is to be had before
/// the first start: then it is read again and again until it can be; `None` when the daemon stops before.
async fn set_up(
    shared: Arc<Shared>,
    config: model::Source,
    mappings: Vec<Arc<model::Mapping>>,
) -> Result<Option<(ReadySource, SourcePipeline)>, SetupFault> {
    let id = shared.store.source_id(&config.name)?;
    loop {
        match source::prepare(&config, id, &mappings, &shared.store, &shared.ids).await {
            Ok((tables, compiled)) => return start(&shared, config, id, Arc::new(tables), compiled).map(Some),
            Err(SetupFault::Database(error)) => {
                let (state, next) = match error.class() {
                    Class::Transient => (SourceState::Retrying, None),
                    Class::Operator { hint } => (SourceState::Stopped, Some(hint)),
                    Class::Fatal => return Err(SetupFault::Database(error)),
                };
                let text = chain(&error);
                let kept = source::prepare_remembered(&config, id, &mappings, &shared.store, &shared.ids)?;
                if let Some((tables, compiled)) = kept {
                    tracing::warn!(source = %config.name, error = %text, "the source can't be reached: its tables are taken as they were last seen");
                    return start(&shared, config, id, Arc::new(tables), compiled).map(Some);
                }
                tracing::warn!(source = %config.name, error = %text, "the source can't be set up yet");
                shared.board.source(&config.name, |source| {
                    source.kind = config.kind.word().into();
                    source.state = state;
                    source.reason = Some(text);
                    source.next_command = next;
                    source.since.get_or_insert_with(Timestamp::now);
                });
            }
            Err(fault @ (SetupFault::Mappings(_) | SetupFault::State(_))) => return Err(fault),
        }
        tokio::select! {
            () = shared.stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(SETUP_WAIT) => {} // the database may be back by then
        }
    }
}

/// Capture on a thread of its own, and the source that feeds it.
fn start(
    shared: &Arc<Shared>,
    config: model::Source,
    id: SourceId,
    tables: Arc<source::Tables>,
    mappings: Vec<CompiledMapping>,
) -> Result<(ReadySource, SourcePipeline), SetupFault> {
    let store = Arc::clone(&shared.store);
    tables.keep(id, &store, &mappings, source::has_passed(&config))?;
    source::drifts::show(&shared.board, &config.name, &mappings);
    if mappings.iter().any(CompiledMapping::is_pending) {
        let (board, store, mappings) = (Arc::clone(&shared.board), Arc::clone(&store), mappings.clone());
        tokio::task::spawn_blocking(move || source::drifts::count(&board, &store, &mappings));
    }
    let lanes = lanes(&mappings);
    let all = [&lanes.mappings, &lanes.indexes].into_iter().flat_map(|lanes| lanes.values().flatten().copied());
    let gate = Arc::new(gate_for(&store, all)?);
    let mut fits: BTreeMap<_, Vec<Fitting>> = BTreeMap::new();
    for footed in mappings.iter().flat_map(CompiledMapping::footed) {
        let known = store.fit(footed.fit)?.unwrap_or_default().known;
        let (columns, has_passed) = (footed.names.clone(), source::has_passed(&config));
        let fitting = Fitting { mapping: footed.fit, columns, known, has_passed };
        fits.entry(footed.table).or_default().push(fitting);
    }
    let checkpoint = store.checkpoint(id)?;
    let known = checkpoint.map_or_else(Durable::default, |checkpoint| Durable {
        position: Some(checkpoint.position),
        committed_at: checkpoint.committed_at,
        seq: checkpoint.seq,
        open: checkpoint.open.map(|open| open.transaction),
        ..Durable::default()
    });
    let (publish, durable) = watch::channel(known);
    let (input, inbox) = mpsc::channel(INPUTS);
    let capture = Capture {
        store: Arc::clone(&store),
        source: id,
        lanes,
        fits,
        parts: source::parts(&config),
        gate: Arc::clone(&gate),
        input: inbox,
        durable: publish,
        cancel: CancellationToken::new(),
    };
    let wanted = Arc::new(Wanted::default());
    let source = Source {
        config: config.clone(),
        id,
        tables: Arc::clone(&tables),
        mappings: mappings.clone().into(),
        ids: Arc::clone(&shared.ids),
        store,
        board: Arc::clone(&shared.board),
        capture: input,
        durable: durable.clone(),
        wanted: Arc::clone(&wanted),
        disk_budget_bytes: shared.daemon.disk_budget_bytes,
        cancel: shared.stop.clone(),
        outdated: shared.outdated.clone(),
    };
    let name = config.name.clone();
    let pipeline = Box::pin(async move {
        let capturing = tokio::task::spawn_blocking(move || capture.run());
        let ran = source.run().await;
        // The source has dropped its end: capture writes what it has and ends.
        let captured = capturing.await.with_context(|| format!("the capture of {name}"))?;
        captured.with_context(|| format!("the capture of {name}"))?;
        ran.with_context(|| format!("source {name}"))
    });
    Ok((ReadySource { id, config, gate, durable, wanted, tables, mappings }, pipeline))
}

/// The lanes that capture names rows in: of each mapping its own and that of its urgent fields, and one for the indexes of
/// each related table.
fn lanes(mappings: &[CompiledMapping]) -> Lanes {
    let mut lanes = Lanes { wanted: source::wanted_rows(mappings), ..Lanes::default() };
    for mapping in mappings {
        lanes.mappings.entry(mapping.table).or_default().extend(std::iter::once(mapping.id).chain(mapping.ahead));
        for related in &mapping.related {
            let of = lanes.indexes.entry(related.table).or_default();
            if !of.contains(&related.lane) {
                of.push(related.lane);
            }
        }
    }
    lanes
}

/// Begins the delivery of every CRM whose sources are all known, once.
fn begin_deliveries(
    config: &crate::config::Config,
    shared: &Arc<Shared>,
    ready: &mut BTreeMap<String, ReadySource>,
    desk: &mut requests::Desk,
    deliveries: &mut Pipelines,
) -> anyhow::Result<()> {
    for crm in config.crms.values() {
        let names: Vec<&str> = config
            .sources
            .keys()
            .filter(|name| config.mappings.values().any(|mapping| mapping.crm == crm.name && mapping.source == **name))
            .map(String::as_str)
            .collect();
        if names.is_empty() || desk.delivers(&crm.name) || !names.iter().all(|name| ready.contains_key(*name)) {
            continue;
        }
        let sources: Vec<&ReadySource> = names.iter().filter_map(|name| ready.get(*name)).collect();
        let (commands, inbox) = mpsc::channel::<Command>(16);
        let delivery = delivery(crm, shared, &sources, inbox)?;
        desk.delivered_by(&crm.name, commands);
        let name = crm.name.clone();
        deliveries.spawn(async move { delivery.run().await.with_context(|| format!("the delivery to {name}")) });
    }
    Ok(())
}

fn delivery(
    crm: &model::Crm,
    shared: &Arc<Shared>,
    sources: &[&ReadySource],
    commands: mpsc::Receiver<Command>,
) -> anyhow::Result<Delivery> {
    let day: DayRecord =
        shared.store.day(&crm.name)?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let limits = Limits {
        per_second: crm.limits.per_second,
        per_10_seconds: crm.limits.per_10_seconds,
        per_minute: crm.limits.per_minute,
        per_day: crm.limits.per_day,
        concurrent: crm.limits.concurrent,
        reserve: crm.limits.reserve,
    };
    let limiter = Arc::new(Limiter::new(&limits, day, Moment::now()));
    let mappings: Vec<(usize, &CompiledMapping)> = sources
        .iter()
        .enumerate()
        .flat_map(|(index, source)| source.mappings.iter().map(move |mapping| (index, mapping)))
        .filter(|(_, mapping)| mapping.config.crm == crm.name)
        .collect();
    let (mut lanes, mut lines) = (Vec::new(), Vec::new());
    for (index, mapping) in in_order(&mappings) {
        let parents = mappings.iter().filter(|(_, other)| mapping.parents.contains(&other.id));
        let needs = std::iter::once(mapping.table).chain(parents.map(|(_, parent)| parent.table)).collect();
        lanes.push(LaneSetup {
            id: mapping.id,
            source_index: index,
            table: mapping.table,
            columns: mapping.columns.clone(),
            object_id: shared.store.object_id(&crm.name, &mapping.config.object)?,
            config: Arc::clone(&mapping.run),
            mapping: Arc::clone(&mapping.mapping),
            needs,
            has_children: mappings.iter().any(|(_, other)| other.parents.contains(&mapping.id)),
            has_rivals: mappings.iter().any(|(_, other)| refers_to_rivals(&other.run, &mapping.config.name)),
            ahead: mapping.ahead,
            lines: lines_of(&mapping.run, &crm.name, &shared.store, &mut lines)?,
            related: mapping.related.clone(),
        });
    }
    let views = sources.iter().map(|source| SourceView {
        id: source.id,
        gate: Arc::clone(&source.gate),
        durable: source.durable.clone(),
        wanted: Arc::clone(&source.wanted),
        has_passed: source::has_passed(&source.config),
    });
    let configs = mappings.iter().map(|(_, mapping)| &*mapping.config);
    Ok(Delivery {
        name: crm.name.clone(),
        expect_org: crm.expect_org.clone(),
        client: Arc::new(client(crm, configs, &limiter)?),
        limiter,
        store: Arc::clone(&shared.store),
        board: Arc::clone(&shared.board),
        sources: views.collect(),
        lanes,
        lines,
        commands,
        cancel: shared.stop_delivery.clone(),
    })
}

/// The lines of the fields that refer to records that no mapping keeps, by the place of the field; each is added to `all`
/// once.
fn lines_of(
    mapping: &model::Mapping,
    crm: &str,
    store: &Store,
    all: &mut Vec<LineSetup>,
) -> Result<HashMap<usize, MappingId>, StateError> {
    let mut lines = HashMap::new();
    for (place, field) in mapping.fields.iter().enumerate() {
        let model::FieldSource::Unkept { object, by, .. } = &field.value else { continue };
        let id = store.line_id(crm, object, by)?;
        lines.insert(place, id);
        if all.iter().all(|line| line.id != id) {
            all.push(LineSetup { id, object: Arc::clone(object), by: Arc::clone(by) });
        }
    }
    Ok(lines)
}

/// Whether a field refers to records of this mapping or of another one.
fn refers_to_rivals(child: &model::Mapping, parent: &str) -> bool {
    let several = child.fields.iter().map(|field| field.value.parents()).filter(|parents| parents.len() > 1);
    several.into_iter().flatten().any(|mapping| mapping == parent)
}

fn client<'c>(
    crm: &model::Crm,
    mappings: impl Iterator<Item = &'c model::Mapping>,
    limiter: &Arc<Limiter>,
) -> anyhow::Result<Client> {
    match crm.kind {
        model::CrmKind::Salesforce => {
            let mut options = crate::crm::salesforce(crm, limiter);
            for mapping in mappings {
                let references = mapping.fields.iter().filter(|field| field.value.is_reference());
                options.references.extend(references.map(|field| (mapping.object.to_string(), field.name.to_string())));
            }
            Ok(Client::Salesforce(Salesforce::new(options).with_context(|| format!("crm {}", crm.name))?))
        }
    }
}

/// Urgent mappings first, then parents before children; in a circle, as they come.
fn in_order<'m>(mappings: &[(usize, &'m CompiledMapping)]) -> Vec<(usize, &'m CompiledMapping)> {
    let mut left = mappings.to_vec();
    let mut ordered: Vec<(usize, &CompiledMapping)> = Vec::new();
    while !left.is_empty() {
        let waits = |mapping: &CompiledMapping| {
            left.iter().any(|(_, other)| other.id != mapping.id && mapping.parents.contains(&other.id))
        };
        let next = left.iter().position(|(_, mapping)| !waits(mapping)).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered.sort_by_key(|(_, mapping)| !mapping.config.urgent);
    ordered
}

async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("stopping");
    stop.cancel();
}

/// SIGHUP asks for a reload, and tells the journal what became of it.
async fn reload_on_signal(handle: Handle) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        match handle.ask(|reply| request::Request::Reload { dry_run: false, reply }).await {
            Ok(done) => done.lines.iter().for_each(|line| tracing::info!("reload: {line}")),
            Err(fault) => tracing::error!(hint = fault.hint, "nothing was reloaded: {}", fault.message),
        }
    }
}

/// When the state will have grown to its budget, by how it has grown lately.
async fn forecast_disk(store: Arc<Store>, board: Arc<Board>, budget_bytes: u64) {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    let mut size = Growth::default();
    loop {
        tick.tick().await;
        let bytes = store.size_bytes_recently();
        size.note(Instant::now(), bytes as f64);
        let full_in = size.until(budget_bytes.saturating_sub(bytes) as f64);
        board.daemon(|daemon| daemon.disk_full_in_seconds = full_in.map(|left| left.as_secs()));
    }
}

/// Tells systemd's watchdog that the runtime turns, at half the time it allows.
async fn watchdog() {
    let Some(allowed) = sd_notify::watchdog_enabled() else { return };
    let mut tick = tokio::time::interval(allowed / 2);
    loop {
        tick.tick().await;
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
    }
}
