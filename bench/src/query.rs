//! `query`: the host with the greeter against [`crate::native`], each in its own process on one
//! nats-server, asked in turns. Both stay up for the whole run; who is not asked idles.

use std::time::Duration;

use anyhow::{Result, ensure};
use conche::envelope::{Attribute, new_transaction_id};

use crate::driver::{Asker, Question, Span, Window, ask_once, envelope};
use crate::process::{NatsServer, Subject};
use crate::subjects::{self, HostSetup};
use crate::table::{Figures, Row, Who, compare};
use crate::{Effort, native};

pub(crate) const GREETER_OP: &str = "cyverse.greeter.Greet";
const OUTSTANDING: [usize; 4] = [1, 16, 64, 256];
/// Before each window: caches, instances and buffers are as in the middle of a long run.
const WARM_UP: Duration = Duration::from_millis(300);
const DATA: &str = r#"{"name":"Ada"}"#;
const ANSWER: &str = r#"{"greeting":"Hello, Ada!"}"#;

/// Measures, prints the table, returns its rows.
pub(crate) fn run(effort: Effort) -> Result<Vec<Row>> {
    let server = NatsServer::start(&subjects::nats_server()?)?;
    let native = subjects::native(server.address, &["queries"])?;
    let setup = HostSetup::new(&server)?;
    setup.plugin("greeter", None)?;
    let host = setup.start()?;
    let sides = [
        (Who::Native, &native, question(native::OP)?),
        (Who::Host, &host, question(GREETER_OP)?),
    ];
    let mut sizes = Vec::new();
    for (_, _, question) in &sides {
        let (answer, size) = ask_once(server.address, question)?;
        ensure!(
            answer.transaction_id("transactionid").is_some() && answer.ty == question.subject,
            "`{}` was answered with {answer:?}",
            question.subject
        );
        sizes.push(size);
    }

    let mut rows = Vec::new();
    for outstanding in effort.lines(&OUTSTANDING) {
        let mut rounds = [Vec::new(), Vec::new()];
        for round in 0..effort.rounds {
            for turn in [0, 1] {
                // The order alternates, so that neither always runs into a warm or a tired machine.
                let side = (turn + round) % 2;
                let (_, subject, question) = &sides[side];
                let window = measure(&server, subject, question, outstanding, effort.window)?;
                rounds[side].push(Figures::of(&window));
            }
        }
        for ((who, _, _), figures) in sides.iter().zip(&rounds) {
            rows.push(Row {
                bench: "query",
                subject: *who,
                outstanding,
                figures: Figures::median(figures),
            });
        }
    }
    println!(
        "\nquery: one greeter call; question {} bytes, answer {} (native) and {} (host) with headers\n",
        sides[1].2.body.len(),
        sizes[0],
        sizes[1]
    );
    print!("{}", compare(&rows));
    Ok(rows)
}

/// The greeter's question, to whoever listens on `op`.
pub(crate) fn question(op: &str) -> Result<Question> {
    let mut query = envelope(op, DATA);
    query.set_extension("transactionid", Attribute::Text(new_transaction_id()));
    Ok(Question {
        subject: op.to_owned(),
        body: query.to_structured()?.body.to_vec(),
        // Data comes last in what `conche::envelope` writes.
        is_answer: |body| {
            let data = body.strip_suffix(b"}");
            data.is_some_and(|rest| rest.ends_with(ANSWER.as_bytes()))
        },
    })
}

/// One window on a connection of its own.
pub(crate) fn measure(
    server: &NatsServer,
    subject: &Subject,
    question: &Question,
    outstanding: usize,
    window: Duration,
) -> Result<Window> {
    let span = Span {
        warm_up: WARM_UP,
        window,
    };
    Asker::open(server.address, question.clone(), outstanding)?.measure(subject, span)
}
