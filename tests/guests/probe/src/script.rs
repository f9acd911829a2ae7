//! What the probe can be told to do, as JSON. A step holds one action, and perhaps
//! `"before_attempt": k`: it then runs only at deliveries before the k-th.
//!
//! ```json
//! {"steps": [
//!   {"emit": {"type": "org.cyverse.events.probe.Out", "data": {"n": 1}, "key": "a", "count": 2}},
//!   {"ask": {"op": "cyverse.probe.Echo", "data": 1, "timeout_ms": 100}},
//!   {"ask_all": {"queries": [{"op": "cyverse.probe.Echo"}], "timeout_ms": 100}},
//!   {"exchange": {"type": "t", "answer_types": ["a"], "timeout_ms": 100}},
//!   {"listen": {"handler": "heard", "types": ["t"], "state": "s"}},
//!   {"log": {"level": "warn", "message": "m", "fields": {"k": "v"}, "count": 1}},
//!   {"sleep": {"ms": 10}},
//!   {"spin": {"ms": 10}},
//!   {"panic": "text"}, {"fault": {"code": 422, "message": "m", "details": {}}},
//!   {"retry": {"message": "later", "after_ms": 50}, "before_attempt": 3},
//!   {"reject": {"code": 400, "message": "never"}}
//! ]}
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use conche_guest::listeners::{self, Listener};
use conche_guest::{
    Attribute, CloudEvent, Draft, EventError, Fault, Payload, SendError, call, emit, exchange, log,
    request, request_all,
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    #[serde(default)]
    pub(crate) report: bool,
}

#[derive(Deserialize)]
pub(crate) struct Step {
    before_attempt: Option<u32>,
    #[serde(flatten)]
    action: Action,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Emit(Send),
    Ask(Ask),
    AskAll {
        queries: Vec<Ask>,
        timeout_ms: Option<u64>,
    },
    Exchange(Exchange),
    Listen(Listen),
    /// The id of a listener.
    Unlisten(String),
    Log(Log),
    Sleep {
        ms: u64,
    },
    Spin {
        ms: u64,
    },
    Panic(String),
    Fault(Failing),
    Retry {
        message: String,
        after_ms: Option<u64>,
    },
    Reject(Failing),
}

#[derive(Deserialize)]
struct Send {
    #[serde(rename = "type")]
    type_: String,
    subject: Option<String>,
    transaction_id: Option<String>,
    #[serde(default)]
    extensions: BTreeMap<String, Extension>,
    data: Option<Value>,
    key: Option<String>,
    /// How often the same draft is sent.
    #[serde(default = "once")]
    count: u32,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Extension {
    Boolean(bool),
    Integer(i32),
    Text(String),
}

#[derive(Deserialize)]
struct Ask {
    op: String,
    data: Option<Value>,
    timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Exchange {
    #[serde(rename = "type")]
    type_: String,
    data: Option<Value>,
    answer_types: Vec<String>,
    timeout_ms: Option<u64>,
    key: Option<String>,
}

#[derive(Deserialize)]
struct Listen {
    handler: String,
    #[serde(default)]
    types: Vec<String>,
    transaction_id: Option<String>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    once: bool,
    expires_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Log {
    #[serde(default)]
    level: String,
    message: String,
    #[serde(default)]
    fields: BTreeMap<String, String>,
    #[serde(default = "once")]
    count: u32,
}

#[derive(Deserialize)]
struct Failing {
    code: u16,
    message: String,
    details: Option<Value>,
}

fn once() -> u32 {
    1
}

/// A step that ends the call.
pub(crate) enum Failure {
    Fault(Fault),
    Event(EventError),
}

impl Failure {
    pub(crate) fn into_fault(self) -> Fault {
        match self {
            Self::Fault(fault) => fault,
            Self::Event(error) => Fault::internal(error.to_string()),
        }
    }

    pub(crate) fn into_event_error(self) -> EventError {
        match self {
            Self::Fault(fault) => fault.into(),
            Self::Event(error) => error,
        }
    }
}

impl Script {
    pub(crate) fn run(self) -> Result<Vec<Value>, Failure> {
        let attempt = call::attempt();
        let due = |step: &Step| step.before_attempt.is_none_or(|limit| attempt < limit);
        self.steps.into_iter().filter(due).map(Step::run).collect()
    }
}

impl Step {
    pub(crate) fn run(self) -> Result<Value, Failure> {
        Ok(match self.action {
            Action::Emit(send) => send.run(),
            Action::Ask(ask) => {
                let timeout = ask.timeout_ms.map(Duration::from_millis);
                ask.draft()
                    .and_then(|draft| request(draft, timeout))
                    .map_or_else(failed, answered)
            }
            Action::AskAll {
                queries,
                timeout_ms,
            } => ask_all(&queries, timeout_ms),
            Action::Exchange(exchange) => exchange.run().map_or_else(failed, answered),
            Action::Listen(listen) => listen.run(),
            Action::Unlisten(id) => {
                listeners::remove(&id).map_or_else(failed, |()| json!({ "removed": id }))
            }
            Action::Log(log) => log.run(),
            Action::Sleep { ms } => {
                std::thread::sleep(Duration::from_millis(ms));
                json!({ "slept_ms": ms })
            }
            Action::Spin { ms } => {
                let end = Instant::now() + Duration::from_millis(ms);
                while Instant::now() < end {}
                json!({ "spun_ms": ms })
            }
            Action::Panic(text) => panic!("{text}"),
            Action::Fault(failing) => return Err(Failure::Fault(failing.fault())),
            Action::Retry {
                message,
                after_ms: None,
            } => {
                return Err(Failure::Event(EventError::retry(message)));
            }
            Action::Retry {
                message,
                after_ms: Some(ms),
            } => {
                let after = Duration::from_millis(ms);
                return Err(Failure::Event(EventError::retry_after(message, after)));
            }
            Action::Reject(failing) => {
                return Err(Failure::Event(EventError::reject(failing.fault())));
            }
        })
    }
}

impl Send {
    fn run(self) -> Value {
        let mut draft = Draft::new(self.type_);
        draft.subject = self.subject;
        draft.transaction_id = self.transaction_id;
        draft.key = self.key;
        for (name, value) in self.extensions {
            draft = draft.extension(name, Attribute::from(value));
        }
        if let Some(data) = self.data {
            draft.data = Some(Payload::Json(data.to_string()));
        }
        let send = |_| emit(draft.clone()).map_or_else(failed, Value::String);
        json!({ "ids": (0..self.count).map(send).collect::<Vec<Value>>() })
    }
}

impl From<Extension> for Attribute {
    fn from(value: Extension) -> Self {
        match value {
            Extension::Boolean(value) => value.into(),
            Extension::Integer(value) => value.into(),
            Extension::Text(value) => value.into(),
        }
    }
}

impl Ask {
    fn draft(&self) -> Result<Draft, SendError> {
        Draft::new(&self.op).json(&self.data)
    }
}

fn ask_all(queries: &[Ask], timeout_ms: Option<u64>) -> Value {
    match queries
        .iter()
        .map(Ask::draft)
        .collect::<Result<Vec<Draft>, SendError>>()
    {
        Ok(drafts) => request_all(&drafts, timeout_ms.map(Duration::from_millis))
            .into_iter()
            .map(|result| result.map_or_else(failed, answered))
            .collect(),
        Err(error) => failed(error),
    }
}

impl Exchange {
    fn run(self) -> Result<CloudEvent, SendError> {
        let types: Vec<&str> = self.answer_types.iter().map(String::as_str).collect();
        let mut draft = Draft::new(self.type_).json(&self.data)?;
        draft.key = self.key;
        exchange(draft, &types, self.timeout_ms.map(Duration::from_millis))
    }
}

impl Listen {
    fn run(self) -> Value {
        let mut listener = Listener::new(self.handler)
            .types(self.types)
            .state(self.state);
        if let Some(id) = self.transaction_id {
            listener = listener.transaction_id(id);
        }
        if self.once {
            listener = listener.once();
        }
        if let Some(ms) = self.expires_ms {
            listener = listener.expires(Duration::from_millis(ms));
        }
        listeners::add(listener).map_or_else(failed, |id| json!({ "listener": id }))
    }
}

impl Log {
    fn run(self) -> Value {
        let level = match self.level.as_str() {
            "trace" => log::Level::Trace,
            "debug" => log::Level::Debug,
            "warn" => log::Level::Warn,
            "error" => log::Level::Error,
            "critical" => log::Level::Critical,
            _ => log::Level::Info,
        };
        let fields: Vec<(&str, &dyn std::fmt::Display)> = self
            .fields
            .iter()
            .map(|(key, value)| (key.as_str(), value as &dyn std::fmt::Display))
            .collect();
        for _ in 0..self.count {
            log::write(level, &self.message, &fields);
        }
        json!({ "logged": self.count })
    }
}

impl Failing {
    fn fault(self) -> Fault {
        let fault = Fault::new(self.code, self.message);
        match self.details {
            Some(details) => fault.details(&details),
            None => fault,
        }
    }
}

fn answered(answer: CloudEvent) -> Value {
    let data = match answer.data {
        Some(Payload::Json(text)) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Some(Payload::Text(text)) => json!({ "text": text }),
        Some(Payload::Binary(bytes)) => json!({ "bytes": bytes.len() }),
        None => Value::Null,
    };
    json!({ "answer": {
        "id": answer.id,
        "type": answer.type_,
        "transaction_id": answer.transaction_id,
        "data": data,
    }})
}

/// `{"error": {"kind": "refused", "text": …}}`; a fault of the other side adds its code.
#[expect(clippy::needless_pass_by_value, reason = "for map_or_else")]
fn failed(error: SendError) -> Value {
    let (kind, code) = match &error {
        SendError::Refused(_) => ("refused", None),
        SendError::OverBudget(_) => ("over-budget", None),
        SendError::Invalid(_) => ("invalid", None),
        SendError::NoResponders => ("no-responders", None),
        SendError::TimedOut => ("timed-out", None),
        SendError::Busy => ("busy", None),
        SendError::Remote(fault) => ("remote", Some(fault.code)),
        SendError::Other(_) => ("other", None),
    };
    json!({ "error": { "kind": kind, "code": code, "text": error.to_string() } })
}
