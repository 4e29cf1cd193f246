//! Traces as text.

use anstyle::{AnsiColor, Color, Style};
use glassnet_kernel::note::ConntrackNote;

use super::phases::{Kind, Phase, deciding};
use super::{Answer, Decider, Decision};
use crate::view::conntrack_words;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const PLACE: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Green)));
const OBJECT: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Cyan)));
const NOTE: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow)));
const GOOD: Style = Style::new().bold().fg_color(Some(Color::Ansi(AnsiColor::Green)));
const BAD: Style = Style::new().bold().fg_color(Some(Color::Ansi(AnsiColor::Red)));

/// One trace, or with `all` every branch with its probability, with ANSI colours. `whole`: these are all branches.
pub fn text(answers: &[Answer], all: bool, whole: bool) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    let Some(first) = answers.first() else { return out };
    line(format!("{BOLD}{}{BOLD:#}", first.question));
    first.ends.iter().for_each(|ends| line(format!("{OBJECT}{ends}{OBJECT:#}")));
    let mut before: Option<Vec<String>> = None;
    for (at, answer) in answers.iter().enumerate() {
        if all {
            let (number, of, share) = (at + 1, answers.len(), share(answer.probability()));
            line(String::new());
            line(format!("{BOLD}branch {number} of {of}: {share}{BOLD:#}"));
        }
        for decision in answer.decisions.iter().filter(|_| all) {
            line(format!("   {NOTE}{}{NOTE:#}", chance(decision)));
        }
        let width = answers.iter().flat_map(|answer| &answer.phases).map(|phase| place(phase).len()).max();
        let phase = |(at, one)| phase(at + 1, one, width.unwrap_or(0));
        let phases: Vec<String> = answer.phases.iter().enumerate().map(phase).collect();
        let same = before.iter().flatten().zip(&phases).take_while(|(old, new)| old == new).count();
        match same {
            0 | 1 => phases.iter().for_each(|phase| line(phase.clone())),
            _ => {
                line(format!("{DIM}1.-{same}. as in the branch before{DIM:#}"));
                phases[same..].iter().for_each(|phase| line(phase.clone()));
            }
        }
        before = Some(phases);
        line(verdict(answer));
        if !all && !answer.decisions.is_empty() {
            let share = share(answer.probability());
            let decided =
                match answer.decisions.iter().any(|decision| matches!(decision.by, Decider::Rule(_))) {
                    true => format!("chance decided so with {share}"),
                    false => format!("{share} of new connections go there in turn"),
                };
            line(format!("   {DIM}{decided}; --all shows every branch{DIM:#}"));
        }
    }
    if all {
        line(String::new());
        summary(answers, whole).into_iter().for_each(line);
    }
    out
}

fn verdict(answer: &Answer) -> String {
    let style = if answer.verdict.ending.is_success() { GOOD } else { BAD };
    let mut text = format!("{style}=> {}{style:#}", answer.verdict.text);
    if let Some(object) = &answer.object {
        text += &format!("\n   {OBJECT}{}{OBJECT:#}", object.objects());
    }
    for reply in &answer.answers {
        let lost = reply.lost.as_ref().map_or(String::new(), |lost| format!(" ({lost})"));
        text += &format!("\n   {DIM}answer: {}{lost}{DIM:#}", reply.summary);
    }
    text
}

/// A phase: number, place, text; below it the deciding rules and the changed addresses.
fn phase(number: usize, phase: &Phase, width: usize) -> String {
    let place = place(phase);
    let style = match (phase.kind, &phase.hook) {
        (Kind::Dropped, _) => BAD,
        (_, Some(hooked)) if hooked.dropped.is_some() => BAD,
        _ => Style::new(),
    };
    let number = format!("{number}.");
    let mut out = format!("{number:4}{PLACE}{place:width$}{PLACE:#} {style}{}{style:#}", phase.text);
    if let Some(hooked) = &phase.hook {
        // A lookup is printed before the rules, confirmation after them.
        let is_entered = |note: &&ConntrackNote| matches!(note, ConntrackNote::Entered(_));
        let found = hooked.conntrack.iter().filter(|note| !is_entered(note));
        let entered = hooked.conntrack.iter().filter(is_entered);
        let line = |note: &ConntrackNote| (format!("conntrack: {}", conntrack_words(note)), None);
        for (line, object) in found.map(line).chain(deciding(hooked)).chain(entered.map(line)) {
            out += &format!("\n     {NOTE}{line}{NOTE:#}");
            if let Some(object) = object {
                out += &format!("\n       {OBJECT}{object}{OBJECT:#}");
            }
        }
    }
    if let Some((src, dst)) = &phase.after {
        let (old_src, old_dst) = (&phase.src, &phase.dst);
        out += &format!("\n     {DIM}before {old_src} > {old_dst}, now {src} > {dst}{DIM:#}");
    }
    out
}

fn place(phase: &Phase) -> String {
    format!("{} {}", phase.host, phase.device).trim_end().to_owned()
}

fn chance(decision: &Decision) -> String {
    let share = share(decision.shares[decision.outcome]);
    match &decision.by {
        Decider::Rule(rule) => {
            let outcome = if decision.outcome == 0 { "matches" } else { "does not match" };
            format!("{rule} {outcome} ({share})")
        }
        Decider::Scheduler(name) => {
            let (turn, of) = (decision.outcome + 1, decision.shares.len());
            format!("ipvs: destination {turn} of {of} has its turn by {name} ({share})")
        }
    }
}

/// Branches with their probabilities, and the sum.
fn summary(answers: &[Answer], whole: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for answer in answers {
        let style = if answer.verdict.ending.is_success() { GOOD } else { BAD };
        let share = share(answer.probability());
        let endpoint = answer.object.as_ref().and_then(|object| object.endpoint.as_ref());
        let endpoint = endpoint.map_or(String::new(), |endpoint| format!("{OBJECT}{endpoint}{OBJECT:#}: "));
        lines.push(format!("{share:18} {endpoint}{style}{}{style:#}", answer.verdict.text));
    }
    let sum: f64 = answers.iter().map(Answer::probability).sum();
    let more = if whole { "" } else { "; more branches were not looked at" };
    lines.push(format!("{:18} in all{more}", share(sum)));
    lines
}

/// A percentage, and a simple fraction if it is one: `33.33 % (1/3)`.
fn share(probability: f64) -> String {
    let percent = format!("{:.2} %", probability * 100.0);
    match fraction(probability) {
        Some((_, 1)) | None => percent,
        Some((part, whole)) => format!("{percent} ({part}/{whole})"),
    }
}

/// The fraction with a small denominator equal to a probability, within the precision of `iptables`.
fn fraction(probability: f64) -> Option<(u32, u32)> {
    (1..=100).find_map(|whole: u32| {
        let part = (probability * f64::from(whole)).round();
        let is_near = (probability - part / f64::from(whole)).abs() < 1e-8;
        is_near.then_some((part as u32, whole))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_percents_and_simple_fractions() {
        // 1/3 in iptables: 715827883 of 2^31.
        assert_eq!(share(715_827_883.0 / 2_147_483_648.0), "33.33 % (1/3)");
        assert_eq!(share(0.123_456), "12.35 %");
        assert_eq!(share(1.0), "100.00 %");
    }
}
