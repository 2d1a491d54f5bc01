//! Finds the program that an earlier process started for a call, and that still runs: `kill -9` ends a run's process, and not the
//! programs of its scripts.

use std::fs;

/// The environment variable with the key of the call, by which a program can recognise a repeated call.
pub const KEY_VARIABLE: &str = "WINDLASS_EFFECT_KEY";

/// Returns the id of the process that was started for the call with this key, if it is still running. It leads its process group (proc(5));
/// what it has started does not, unless it is meant to run on by itself, in a session of its own.
///
/// Only Linux tells; elsewhere, none is found.
pub fn left_running(key: &str) -> Option<u32> {
    let variable = format!("{KEY_VARIABLE}={key}");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut leaders = ids.filter(|id| leads_group(*id));
    leaders.find(|id| {
        // Those of other users can't be read.
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        variables.any(|found| found == variable.as_bytes())
    })
}

/// Says whether a process leads its process group, and not its session.
fn leads_group(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The program's name, in parentheses, may contain anything.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let mut fields = after.split_whitespace().skip(2);
    let mut next = || fields.next().and_then(|field| field.parse::<u32>().ok());
    let (group, session) = (next(), next());
    group == Some(id) && session != Some(id)
}
