//! The process: builds everything once, in order, and owns its start and its stop.

mod aside;
mod descriptors;
mod listeners;
mod pages;
mod stops;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use self::aside::Aside;
use self::listeners::Listeners;
use self::stops::Stops;
use crate::admin::{self, Pages, Port};
use crate::config::source::files::Loaded;
use crate::config::source::watch::Watcher;
use crate::config::{Document, Identity};
use crate::control::{Compiler, Control, Made, Reload, Source};
use crate::drain::{Activity, Asked, Drain, Step};
use crate::listen::spread::Spread;
use crate::observe::access_log::unix_ms;
use crate::observe::{Format, LogWriter, Readiness, Scraper};
use crate::proxy::Phase;
use crate::settings::{AccessLog, Settings};
use crate::snapshot::Publisher;
use crate::upstream::dns::{Dns, Resolve};
use crate::upstream::endpoints::Lookups;
use crate::upstream::guard::Guard;
use crate::upstream::overrides::Overrides;
use crate::upstream::tls::{self, TlsContext};
use crate::worker::{Command, Common, Worker};

/// How often the lanes are asked how they stand while they drain.
const DRAIN_LOOK: Duration = Duration::from_millis(25);
/// How long the last lines of the access log may take to be written.
const LOG_FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// What a gateway is started with.
pub struct Start {
    /// Ports, threads, names.
    pub settings: Settings,
    /// Where its configuration comes from.
    pub source: Source,
    /// What was read of it already; `None`: nothing yet.
    pub loaded: Option<Loaded>,
    /// Roots trusted besides the usual ones: a name for messages, and PEM.
    pub further_roots: Vec<(String, Vec<u8>)>,
}

/// Runs the gateway until it is told to stop. Errors: what kept it from starting.
pub fn run(start: Start) -> Result<ExitCode, String> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        let app = App::start(start).await?;
        app.aside.give_way().await?;
        Ok(app.serve().await)
    })
}

/// Everything that runs.
pub struct App {
    settings: Settings,
    control: Control,
    /// Where configurations are read and compiled.
    aside: Aside,
    /// Of files; documents of the command line do not change.
    watcher: Option<Watcher>,
    workers: Vec<Worker>,
    listeners: Listeners,
    readiness: Arc<Readiness>,
    pages: Arc<Pages>,
    log: Option<LogWriter>,
    hangup: Signal,
    stops: Stops,
    reloads: mpsc::Receiver<admin::Reload>,
}

/// What whoever asked for a reload is told.
type Outcome = Result<String, String>;

/// What asks for attention.
enum Event {
    ReadAgain(Option<admin::Reload>),
    Stop(Asked),
}

impl App {
    /// Starts in order: signals, the log, the configuration, the lanes, the listeners, the pages.
    pub async fn start(start: Start) -> Result<Self, String> {
        let Start { settings, source, loaded, further_roots } = start;
        let stops = Stops::new().map_err(|error| format!("cannot catch signals: {error}"))?;
        let hangup = signal(SignalKind::hangup());
        let hangup = hangup.map_err(|error| format!("cannot catch SIGHUP: {error}"))?;
        let readiness = Arc::new(Readiness::default());
        let starting = readiness.wait_for("the configuration");
        let publisher = Publisher::default();
        let guard = Arc::new(Guard::new(settings.guard.clone()));
        let control = control(&settings, source, &further_roots, &publisher, &readiness, &guard)?;
        let mut watcher = match &control.source {
            Source::Paths(paths) => Some(Watcher::new(paths)),
            Source::Fixed(_) => None,
        };
        let aside = Aside::start()?;
        let source = control.source.clone();
        // Whatever has changed since it was read, the watcher finds.
        let loaded = aside.run(move || loaded.map_or_else(|| source.read(), Ok)).await??;
        if let Some(watcher) = &mut watcher {
            watcher.follow(&loaded);
        }
        let compiler = Arc::clone(&control.compiler);
        control.take(aside.run(move || compiler.make(loaded)).await?);

        let log = access_log(&settings)?;
        let common = Common {
            publisher: publisher.clone(),
            guard: Arc::clone(&guard),
            limits: descriptors::fit(&settings.limits),
            headers: settings.headers.clone(),
            upstream_connections: Arc::default(),
        };
        let workers = workers(&settings, &common, log.as_ref())?;
        let mut listeners = Listeners::new(guard, &readiness);
        for error in listeners.follow(&control.listeners(), &workers).await {
            tracing::error!("{error}");
        }
        gather_randomness(&readiness)?;

        let (reload, reloads) = mpsc::channel(4);
        let shown = pages::Shown::new(&control, listeners.addresses(), settings.guard.clone());
        let pages = Arc::new(pages::pages(shown, &readiness, &workers, reload, &stops.quit));
        let health = pages::serve(settings.health, "health", Port::Health, &pages).await?;
        let admin = pages::serve(settings.admin, "admin", Port::Admin, &pages).await?;
        listeners.keep_from([health, admin]);
        drop(starting);
        Ok(Self {
            settings,
            control,
            aside,
            watcher,
            workers,
            listeners,
            readiness,
            pages,
            log,
            hangup,
            stops,
            reloads,
        })
    }

    /// Serves until told to stop, then leaves in order.
    pub async fn serve(mut self) -> ExitCode {
        loop {
            match self.next_event().await {
                Event::ReadAgain(asker) => {
                    let outcome = match self.reload().await {
                        Ok(outcome) => outcome,
                        Err(asked) => return self.leave(asked).await,
                    };
                    if let Some(asker) = asker {
                        // Whoever asked may have given up waiting.
                        let _ = asker.send(outcome);
                    }
                }
                Event::Stop(asked) => return self.leave(asked).await,
            }
        }
    }

    /// Puts other documents in force, as a reload would.
    pub async fn replace(&mut self, documents: Vec<Document>) -> Result<String, String> {
        self.control.source = Source::Fixed(documents);
        self.reload().await.unwrap_or_else(|_| Err("told to stop".into()))
    }

    /// Where the listener for a port of the configuration is bound.
    pub fn bound(&self, port: u16) -> Option<SocketAddr> {
        self.listeners.bound(port)
    }

    async fn next_event(&mut self) -> Event {
        let changed = async {
            match &mut self.watcher {
                Some(watcher) => watcher.next_change().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = changed => Event::ReadAgain(None),
            _ = self.hangup.recv() => Event::ReadAgain(None),
            Some(asker) = self.reloads.recv() => Event::ReadAgain(Some(asker)),
            asked = self.stops.next() => Event::Stop(asked),
        }
    }

    /// Reads the configuration again; the one in force stays unless the new one can be used. Names are resolved and
    /// pages answered meanwhile.
    ///
    /// Errors: to stop has been asked for before that was done.
    async fn reload(&mut self) -> Result<Outcome, Asked> {
        let source = self.control.source.clone();
        let loaded = match self.unless_stopped(move || source.read()).await?.flatten() {
            Ok(loaded) => loaded,
            Err(why) => return Ok(kept(&why)),
        };
        if let Some(watcher) = &mut self.watcher {
            watcher.follow(&loaded);
        }
        let compiler = Arc::clone(&self.control.compiler);
        let made = self.unless_stopped(move || compiler.make(loaded)).await?;
        Ok(match self.control.take(made.unwrap_or_else(Made::Unusable)) {
            Reload::Kept(why) => kept(&why),
            Reload::Unchanged => {
                tracing::info!("the configuration was read again and means the same");
                // A port that was taken may be free by now.
                self.follow_listeners().await.map(|()| "unchanged".into())
            }
            Reload::InForce(generation) => self
                .follow_listeners()
                .await
                .map(|()| format!("configuration generation {generation} in force")),
        })
    }

    /// What comes of long work, unless the process is told to stop meanwhile.
    async fn unless_stopped<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Result<T, String>, Asked> {
        tokio::select! {
            done = self.aside.run(work) => Ok(done),
            asked = self.stops.next() => Err(asked),
        }
    }

    /// Listens where the configuration in force says.
    async fn follow_listeners(&mut self) -> Result<(), String> {
        let wanted = self.control.listeners();
        let errors = self.listeners.follow(&wanted, &self.workers).await;
        errors.iter().for_each(|error| tracing::error!("{error}"));
        if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
    }

    /// Drains and stops. A second signal ends it at once.
    async fn leave(mut self, asked: Asked) -> ExitCode {
        self.readiness.drain();
        tracing::info!("stopping: requests under way have {:?}", self.settings.drain);
        let phase = if asked == Asked::Gently { Phase::Draining } else { Phase::Closing };
        tell(&self.workers, || Command::Enter(phase)).await;
        let drained = tokio::select! {
            cut = drain(&self.workers, &self.pages.scraper, asked, self.settings.drain) => cut,
            () = self.stops.next_signal() => None,
        };
        match drained {
            Some(0) => tracing::info!("stopped: everything under way was finished"),
            Some(cut) => tracing::warn!("stopped: {cut} requests were cut off"),
            None => {
                tracing::warn!("stopped at once, as a second signal asked");
                return ExitCode::FAILURE;
            }
        }
        tell(&self.workers, || Command::Stop).await;
        self.workers.into_iter().for_each(Worker::join);
        if let Some(log) = self.log {
            log.stop(LOG_FLUSH_WITHIN);
        }
        ExitCode::SUCCESS
    }
}

fn kept(why: &str) -> Outcome {
    tracing::error!("configuration kept: {why}");
    Err(format!("configuration kept: {why}"))
}

fn control(
    settings: &Settings,
    source: Source,
    further_roots: &[(String, Vec<u8>)],
    publisher: &Publisher,
    readiness: &Arc<Readiness>,
    guard: &Arc<Guard>,
) -> Result<Control, String> {
    let resolver: Arc<dyn Resolve> = Arc::new(if settings.dns_server.is_empty() {
        Dns::system()?
    } else {
        Dns::with_servers(&settings.dns_server)?
    });
    let compiler = Compiler {
        identity: Identity {
            namespace: settings.namespace.clone(),
            root_namespace: settings.root_namespace.clone(),
            labels: settings.labels.clone(),
            port_map: settings.port_map.clone(),
            bind: settings.bind,
        },
        tls: TlsContext::new(further_roots)?,
        publisher: publisher.clone(),
        taken: Arc::default(),
    };
    Ok(Control {
        source,
        compiler: Arc::new(compiler),
        lookups: Arc::new(Lookups::new(
            resolver,
            Arc::new(Overrides::new(&settings.resolve, &settings.connect_to)),
            Arc::clone(guard),
        )),
        readiness: Arc::clone(readiness),
    })
}

/// Beside the start, which it must not delay; clients are waited with until it is done.
fn gather_randomness(readiness: &Arc<Readiness>) -> Result<(), String> {
    let gathering = readiness.wait_for("the first random numbers");
    let gather = move || {
        tls::gather_randomness();
        drop(gathering);
    };
    let thread = std::thread::Builder::new().name("randomness".into()).spawn(gather);
    thread.map(drop).map_err(|error| format!("cannot start a thread: {error}"))
}

fn access_log(settings: &Settings) -> Result<Option<LogWriter>, String> {
    if settings.access_log == AccessLog::Off {
        return Ok(None);
    }
    LogWriter::start(io::stdout(), settings.workers)
        .map(Some)
        .map_err(|error| format!("the access log's thread cannot start: {error}"))
}

fn workers(
    settings: &Settings,
    common: &Common,
    log: Option<&LogWriter>,
) -> Result<Vec<Worker>, String> {
    let format = match settings.access_log {
        AccessLog::Json => Format::Json,
        AccessLog::Text | AccessLog::Off => Format::Text,
    };
    let start = |(index, spread)| {
        let log = log.map(|log| log.buffer(format, unix_ms));
        Worker::start(index, common.clone(), spread, log)
            .map_err(|error| format!("worker {index} cannot start: {error}"))
    };
    Spread::among(settings.workers).enumerate().map(start).collect()
}

/// Tells every lane.
async fn tell(workers: &[Worker], command: impl Fn() -> Command) {
    for worker in workers {
        if worker.commands.send(command()).await.is_err() {
            tracing::error!("a lane has ended and cannot be told {:?}", command());
        }
    }
}

/// Waits until what is under way has ended, or the time is over; the count of what was cut off.
async fn drain(
    workers: &[Worker],
    scraper: &Scraper,
    asked: Asked,
    limit: Duration,
) -> Option<u64> {
    let mut drain = Drain::begin(asked, limit, Instant::now());
    loop {
        let stats = scraper.collect().await.stats;
        let activity = Activity {
            begun: stats.clients_accepted + stats.requests_ended() + stats.requests_active(),
            // An answer that still waits to be taken is not over for its client.
            active: stats.requests_active().max(stats.clients_streaming()),
        };
        match drain.step(activity, Instant::now()) {
            Step::Wait => sleep(DRAIN_LOOK).await,
            Step::StopAccepting => tell(workers, || Command::Enter(Phase::Closing)).await,
            Step::Leave => return Some(0),
            Step::Cut(active) => return Some(active),
        }
    }
}
