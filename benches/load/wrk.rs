//! wrk as the load generator: one thread, connections that are kept alive, one request.

use crate::machine::cpu_time;
use crate::report::{median, number};
use crate::support::{Scratch, run};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Writes the outcome where [`Outcome::parse`] finds it.
const SUMMARY: &str = r#"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("outcome %d %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), e.connect + e.read + e.write + e.status + e.timeout))
end
"#;

/// One request over and over.
pub struct Load {
    folder: Scratch,
    pub connections: usize,
}

/// What a server did under it.
#[derive(Clone, Copy)]
pub struct Outcome {
    pub requests: f64,
    pub rate: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    /// Of the server, for one request.
    pub cpu_us: f64,
}

impl Load {
    /// Posts `body`.
    pub fn posting(body: &str, connections: usize) -> Load {
        let folder = Scratch::new();
        let post = format!(
            "wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\nwrk.body = [==[{body}]==]\n"
        );
        fs::write(folder.file("load.lua"), post + SUMMARY).unwrap();
        Load { folder, connections }
    }

    /// Measures the server of this process and URL.
    pub fn run(&self, pid: u32, url: &str, duration: Duration) -> Outcome {
        let before = cpu_time(pid);
        let written = run("wrk", self.arguments(url, duration));
        let used = cpu_time(pid) - before;
        Outcome::parse(&written, used)
    }

    /// The same without a measurement, beside others.
    pub fn spawn(&self, url: &str, duration: Duration) -> Child {
        let mut command = Command::new("wrk");
        command.args(self.arguments(url, duration)).stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().unwrap()
    }

    fn arguments(&self, url: &str, duration: Duration) -> Vec<String> {
        let (connections, seconds) =
            (format!("-c{}", self.connections), format!("-d{}s", duration.as_secs()));
        ["-t1", &connections, &seconds, "-s", &self.folder.file("load.lua"), url].map(str::to_owned).into()
    }
}

impl Outcome {
    fn parse(written: &str, used: Duration) -> Outcome {
        let line = written.lines().find_map(|line| line.strip_prefix("outcome ")).unwrap();
        let fields: Vec<f64> = line.split(' ').map(|field| field.parse().unwrap()).collect();
        let [requests, duration_us, p50_us, p99_us, p999_us, errors] = fields[..] else { panic!("{line}") };
        assert!(errors == 0.0 && requests > 0.0, "wrk saw errors: {written}");
        Outcome {
            requests,
            rate: requests / duration_us * 1e6,
            p50_ms: p50_us / 1e3,
            p99_ms: p99_us / 1e3,
            p999_ms: p999_us / 1e3,
            cpu_us: used.as_secs_f64() * 1e6 / requests,
        }
    }

    /// Rate and latencies.
    pub fn told(&self) -> String {
        let [p50, p99, p999] = [self.p50_ms, self.p99_ms, self.p999_ms].map(number);
        format!("{}/s, p50 {p50}, p99 {p99}, p99.9 {p999} ms", number(self.rate))
    }

    /// The median of each figure.
    pub fn median(outcomes: &[Outcome]) -> Outcome {
        let of = |figure: fn(&Outcome) -> f64| median(outcomes.iter().map(figure));
        Outcome {
            requests: of(|o| o.requests),
            rate: of(|o| o.rate),
            p50_ms: of(|o| o.p50_ms),
            p99_ms: of(|o| o.p99_ms),
            p999_ms: of(|o| o.p999_ms),
            cpu_us: of(|o| o.cpu_us),
        }
    }
}
