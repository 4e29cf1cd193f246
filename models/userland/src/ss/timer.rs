//! `ss -o`: the timer of a TCP socket.

use glassnet_kernel::tables::inet_csk::XmitTimer;
use glassnet_kernel::tables::jiffies::last_tick;
use glassnet_kernel::tables::socket::Socket;
use glassnet_kernel::tables::tcp_sock::TcpState;
use glassnet_sim::Nanos;

/// ` timer:(NAME,TIME LEFT,HOW OFTEN)`; nothing if no timer runs.
pub fn shown(socket: &Socket, now: Nanos) -> String {
    let Some(tp) = &socket.tcp else { return String::new() };
    let icsk = &tp.icsk;
    let (name, at, count) = match (tp.state, icsk.timer, tp.keepalive) {
        (TcpState::TimeWait, ..) => ("timewait", last_tick(tp.ends_at.unwrap_or(now)), 0),
        (_, Some((XmitTimer::Probe0, _)), _) => ("persist", icsk.timeout, icsk.probes_out),
        (_, Some(_), _) => ("on", icsk.timeout, icsk.retransmits),
        // An orphan's FIN_WAIT2 ends as TIME_WAIT does.
        (TcpState::FinWait2, None, _) if tp.ends_at.is_some() => {
            ("timewait", last_tick(tp.ends_at.unwrap_or(now)), 0)
        }
        (_, None, Some((at, _))) => ("keepalive", at, icsk.probes_out),
        (_, None, None) => return String::new(),
    };
    format!(" timer:({name},{},{count})", time(at.since(last_tick(now)).0 / 1_000_000))
}

/// A time in ms, as `ss` writes it.
fn time(ms: u64) -> String {
    let (minutes, secs, mut ms) = (ms / 60_000, ms / 1_000 % 60, ms % 1_000);
    let mut text = String::new();
    if minutes > 0 {
        ms = 0;
        text += &format!("{minutes}min");
    }
    if secs > 0 && minutes <= 9 {
        if secs > 9 {
            ms = 0;
        }
        text += &format!("{secs}{}", if ms > 0 { "." } else { "sec" });
    }
    if ms > 0 {
        text += &format!("{ms:03}ms");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_ss_does() {
        let cases =
            [(200, "200ms"), (5_384, "5.384ms"), (59_000, "59sec"), (12_340, "12sec"), (61_500, "1min1sec")];
        for (ms, text) in cases {
            assert_eq!(time(ms), text);
        }
        assert_eq!(time(7_199_000), "119min");
        assert_eq!(time(4), "004ms");
    }
}
