//! Compares `--concurrency auto` with fixed numbers of parts in flight, over links between network
//! namespaces: rate, delay and loss are real to TCP, other than in the simulations of the engine.
//!
//! Prints one table, and fails if `auto` moves less than nine tenths of the best fixed setting, or
//! if several processes at once share the link badly. Needs root.

mod case;
pub(crate) mod counter;
mod report;
mod run;

use anyhow::{Context, Result, bail, ensure};
use haul_testkit::links::Link;
use serde_json::json;

use self::case::Case;
use self::report::{Measured, Outcome};
use self::run::{Setting, run};
use crate::authority::Authority;
use crate::options::Options;
use crate::report::cpu_model;

pub(crate) fn bench(options: &Options) -> Result<()> {
    let settings = settings(options.concurrency.as_deref())?;
    let folder = tempfile::tempdir().context("make a folder")?;
    let authority = Authority::make(folder.path())?;
    let mut all = vec![];
    for case in case::select(options.case.as_deref())? {
        eprintln!("bench: {}", case.title);
        let measured = match case.processes {
            1 => alone(options, &authority, case, &settings)?,
            _ => together(options, &authority, case)?,
        };
        all.push(measured);
    }
    println!("\n{}\n", cpu_model());
    println!("{}", report::table(&all));
    if let Some(path) = &options.json {
        let links: Vec<_> = all.iter().map(Measured::json).collect();
        let json = json!({ "cpu": cpu_model(), "links": links });
        std::fs::write(path, format!("{json:#}\n"))?;
    }
    let outcomes: Vec<Outcome> = all.iter().flat_map(Measured::outcomes).collect();
    for outcome in &outcomes {
        println!("{}: {}", if outcome.is_met { "met" } else { "missed" }, outcome.text);
    }
    let missed = outcomes.iter().filter(|outcome| !outcome.is_met).count();
    ensure!(missed == 0, "{missed} of {} goals missed", outcomes.len());
    Ok(())
}

/// Measures each setting alone on the link.
fn alone(
    options: &Options,
    authority: &Authority,
    case: Case,
    settings: &[Setting],
) -> Result<Measured> {
    let mut measured = Measured::of(case);
    for _ in 0..options.rounds {
        for setting in settings {
            // A new link each time: no packet of the last run is under way.
            let link = link(&measured.case)?;
            let runs = run(&options.haul, authority, &measured.case, &link, *setting, 1)?;
            measured.add(setting.word(), runs);
        }
    }
    Ok(measured)
}

/// Measures one process with `auto`, and then several at once.
fn together(options: &Options, authority: &Authority, case: Case) -> Result<Measured> {
    let mut measured = Measured::of(case);
    for _ in 0..options.rounds {
        for count in [1, measured.case.processes] {
            let link = link(&measured.case)?;
            let runs = run(&options.haul, authority, &measured.case, &link, Setting::Auto, count)?;
            measured.add(format!("auto, {count} at once"), runs);
        }
    }
    Ok(measured)
}

fn link(case: &Case) -> Result<Link> {
    let link = Link::create(&case.link)?;
    run::name_the_server(&link)?;
    Ok(link)
}

/// Returns the settings that these words name, separated by commas; all without words.
fn settings(words: Option<&str>) -> Result<Vec<Setting>> {
    let Some(words) = words else { return Ok(Setting::ALL.into()) };
    let setting = |word: &str| match word.parse() {
        Ok(count) if count > 0 => Ok(Setting::Fixed(count)),
        _ if word == "auto" => Ok(Setting::Auto),
        _ => bail!("--concurrency takes numbers above zero and auto, not {word}"),
    };
    words.split(',').map(setting).collect()
}
