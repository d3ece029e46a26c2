//! Times as kubectl prints them (kubernetes/apimachinery `pkg/util/duration`).

/// How long ago, or how long yet, in at most two units.
pub fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let years = days / 365;
    let two = |whole: i64, unit: &str, rest: i64, small: &str| {
        if rest == 0 { format!("{whole}{unit}") } else { format!("{whole}{unit}{rest}{small}") }
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () if years < 8 => two(years, "y", days % 365, "d"),
        () => format!("{years}y"),
    }
}

/// How long ago an RFC 3339 time was; empty for what is none.
pub fn since(time: &str) -> String {
    seconds(time).map_or_else(String::new, |at| duration(now() - at))
}

/// How long it is to an RFC 3339 time; empty for what is none.
pub fn until(time: &str) -> String {
    match seconds(time) {
        Some(at) if at > now() => duration(at - now()),
        Some(_) => "expired".to_owned(),
        None => String::new(),
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn seconds(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_kubectl_prints_it() {
        for (seconds, text) in [
            (-5, "0s"),
            (1, "1s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (691_200, "8d"),
            (63_071_999, "729d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
        assert_eq!((since("nonsense"), until("")), (String::new(), String::new()));
        assert_eq!(until("2001-01-01T00:00:00Z"), "expired");
    }
}
