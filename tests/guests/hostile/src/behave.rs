//! One function a misbehaviour. Must not know how it was asked for.

use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use conche_guest::{
    Draft, Extension, Fault, Payload, Registration, Reply, SendError, emit, info, log, request,
    request_all,
};
use serde_json::json;

const MIB: usize = 1 << 20;

/// What data may say; each behaviour has its own default.
#[derive(Clone, Copy, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Amount {
    bytes: Option<usize>,
    count: Option<u64>,
}

pub(crate) const BEHAVIOURS: &[&str] = &[
    "Loop",
    "Panic",
    "Trap",
    "Allocate",
    "Recurse",
    "Stdout",
    "Stderr",
    "EmitForever",
    "EmitThenPanic",
    "EmitThenLoop",
    "AskSelf",
    "AskSelfMany",
    "BigReply",
    "BigEmit",
    "BigFault",
    "LogFlood",
    "BigLog",
    "EmptyFields",
    "PrintAndSleep",
    "RequestFlood",
    "HandleFlood",
    "MemoryCopy",
    "Exit",
    "ExitZero",
    "SleepForever",
    "LateRegister",
    "BadJson",
    "BadExtension",
    "BadType",
    "BadEmits",
];

pub(crate) fn behave(name: &str, amount: Amount) -> Result<Reply, Fault> {
    let bytes = amount.bytes.unwrap_or(16 * MIB);
    let count = amount.count.unwrap_or(u64::MAX);
    let note = match name {
        "Loop" => spin(),
        "Panic" => panic!("hostile on purpose"),
        "Trap" => trap(),
        "Allocate" => allocate(),
        "Recurse" => recurse(0).to_string(),
        "Stdout" => flood(&mut std::io::stdout(), bytes),
        "Stderr" => flood(&mut std::io::stderr(), bytes),
        "EmitForever" => emit_until_refused(count),
        "EmitThenPanic" => panic!("after emitting: {}", emit_until_refused(1)),
        "EmitThenLoop" => {
            emit_until_refused(1);
            spin()
        }
        "AskSelf" => ask_self("cyverse.hostile.AskSelf"),
        "AskSelfMany" => ask_self_many(amount.count.unwrap_or(8)),
        "BigReply" => "x".repeat(bytes),
        "BigEmit" => big_emit(bytes),
        "BigFault" => return Err(Fault::internal("x".repeat(bytes))),
        "LogFlood" => log_lines(amount.count.unwrap_or(1_000_000)),
        "BigLog" => {
            info!("{}", "x".repeat(bytes));
            "logged".to_owned()
        }
        "EmptyFields" => empty_fields(amount.count.unwrap_or(20_000)),
        "PrintAndSleep" => {
            println!("connecting");
            std::thread::sleep(Duration::from_secs(3600));
            "woke".to_owned()
        }
        "RequestFlood" => request_flood(amount.count.unwrap_or(100_000)),
        "HandleFlood" => handles(amount.count.unwrap_or(1_000_000)),
        "MemoryCopy" => memory_copy(amount.bytes.unwrap_or(8 * MIB)),
        "Exit" => std::process::exit(3),
        "ExitZero" => std::process::exit(0),
        "SleepForever" => {
            std::thread::sleep(Duration::from_secs(3600));
            "woke".to_owned()
        }
        "LateRegister" => {
            Registration::new().query("query", "cyverse.hostile.Late");
            "registered".to_owned()
        }
        "BadJson" => return Ok(data(Payload::Json("{\"open\": ".to_owned()))),
        "BadExtension" => {
            let extension = Extension {
                name: "Not-Legal".to_owned(),
                value: true.into(),
            };
            return Ok(Reply {
                extensions: vec![extension],
                ..Reply::empty()
            });
        }
        "BadType" => {
            return Ok(Reply {
                type_: Some(String::new()),
                ..Reply::empty()
            });
        }
        "BadEmits" => bad_emits(),
        other => return Err(Fault::not_found(format!("no behaviour {other}"))),
    };
    Reply::json(&json!({ "survived": name, "note": note }))
}

pub(crate) fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// A bare trap, without a panic's text.
pub(crate) fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

pub(crate) fn allocate() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; MIB]));
    }
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(black_box(depth + 1)) + frame[63]
}

fn flood(output: &mut impl Write, bytes: usize) -> String {
    let line = [b'x'; 1023];
    for _ in 0..bytes.div_ceil(1024) {
        if let Err(error) = output
            .write_all(&line)
            .and_then(|()| output.write_all(b"\n"))
        {
            return error.to_string();
        }
    }
    "written".to_owned()
}

/// Goes on past refusals: they must cost the host nothing.
fn emit_until_refused(count: u64) -> String {
    let mut first_error = None;
    for number in 0..count {
        let draft = Draft::new("org.cyverse.events.hostile.Emitted").json(&number);
        if let Err(error) = draft.and_then(emit) {
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or_else(|| "emitted".to_owned(), |error| error.to_string())
}

fn ask_self(op: &str) -> String {
    match request(Draft::new(op), None) {
        Ok(answer) => format!("{:?}", answer.data),
        Err(error) => error.to_string(),
    }
}

fn ask_self_many(count: u64) -> String {
    let drafts: Vec<Draft> = (0..count)
        .map(|_| Draft::new("cyverse.hostile.AskSelfMany"))
        .collect();
    let errors: Vec<String> = request_all(&drafts, None)
        .into_iter()
        .filter_map(Result::err)
        .map(|error| error.to_string())
        .collect();
    format!(
        "{} of {count} failed, first {:?}",
        errors.len(),
        errors.first()
    )
}

fn big_emit(bytes: usize) -> String {
    let draft = Draft::new("org.cyverse.events.hostile.Big").json(&"x".repeat(bytes));
    match draft.and_then(emit) {
        Ok(id) => id,
        Err(error) => error.to_string(),
    }
}

fn log_lines(count: u64) -> String {
    for number in 0..count {
        info!("line {number}");
    }
    "logged".to_owned()
}

/// Nothing, many times over.
fn empty_fields(count: u64) -> String {
    let empty: (&str, &dyn std::fmt::Display) = ("", &"");
    let fields: Vec<_> = (0..count).map(|_| empty).collect();
    log::write(log::Level::Info, "empty", &fields);
    "logged".to_owned()
}

/// Requests without end, to an op that nobody serves.
fn request_flood(count: u64) -> String {
    let mut last = None;
    for _ in 0..count {
        last = request(Draft::new("cyverse.hostile.Nobody"), None).err();
        if matches!(last, Some(SendError::OverBudget(_))) {
            break;
        }
    }
    last.map_or_else(|| "answered".to_owned(), |error| error.to_string())
}

/// WASI resources that are never dropped.
fn handles(count: u64) -> String {
    #[cfg(target_family = "wasm")]
    for _ in 0..count {
        std::mem::forget(wasip2::clocks::monotonic_clock::subscribe_duration(
            u64::MAX,
        ));
    }
    format!("holds {count} handles")
}

/// Bulk copies can't be preempted; many of them must still be.
fn memory_copy(bytes: usize) -> ! {
    let from = vec![7_u8; bytes];
    let mut to = vec![0_u8; bytes];
    loop {
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
    }
}

/// Types that must not leave; answers what each was told.
fn bad_emits() -> String {
    let types = [
        "",
        "$JS.API.STREAM.DELETE.x",
        "_INBOX.x",
        "conche.dlq.x",
        "a b",
        "a..b",
        "a.*",
        "a.>",
    ];
    let told = types.map(|type_| match emit(Draft::new(type_)) {
        Ok(id) => format!("{type_:?}: {id}"),
        Err(error) => format!("{type_:?}: {error}"),
    });
    told.join("; ")
}

fn data(data: Payload) -> Reply {
    Reply {
        data: Some(data),
        ..Reply::empty()
    }
}
