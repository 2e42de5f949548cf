//! What a run of the harness leaves: tables, plots, and the pages that show them.

mod machine;
mod page;
mod plot;
mod tables;

use std::fs;
use std::io;
use std::path::PathBuf;

pub use machine::Machine;
pub use tables::work;

use crate::results::Results;
use crate::targets::{TARGETS, Target, Verdict};

/// The targets of the workloads that were run, and how they came out.
pub fn verdicts(results: &Results) -> Vec<(&'static Target, Verdict)> {
    let works = results.works();
    let ran = |target: &&Target| works.iter().any(|work| work.to_string() == target.work);
    TARGETS.iter().filter(ran).map(|target| (target, target.verdict(results))).collect()
}

/// The targets as a table.
pub fn targets(results: &Results) -> String {
    tables::targets(&verdicts(results))
}

/// Writes the results, the plots, and the tables of the two READMEs.
///
/// # Errors
///
/// A file cannot be written, or has no place for what belongs there.
pub fn write(results: &Results, machine: &Machine) -> io::Result<()> {
    let benches = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = benches.join("results");
    fs::create_dir_all(&folder)?;
    for figure in plot::FIGURES {
        if let Some(svg) = figure.draw(results, &machine.line()).map_err(io::Error::other)? {
            fs::write(folder.join(figure.file), svg)?;
        }
    }
    fs::write(folder.join("results.md"), tables::everything(results, machine))?;
    let summary = format!("{}\n\n{}", machine.sentence(), tables::summary(results));
    page::write(&benches.join("README.md"), "targets", &targets(results))?;
    page::write(&benches.join("README.md"), "summary", &format!("{summary}\n{}", plot::links("results")))?;
    page::write(
        &benches.join("../README.md"),
        "summary",
        &format!("{summary}\n{}", plot::links("benches/results")),
    )
}

/// Writes what needs no socket.
///
/// # Errors
///
/// The page cannot be written, or has no place for it.
pub fn write_parts(text: &str) -> io::Result<()> {
    page::write(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md"), "parts", text)
}
