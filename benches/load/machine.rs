//! The machine: the programs that are needed, who runs on which core, what a process has used.

use crate::support::run;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Installs with apt-get what is missing, where that may be; else says what to install.
pub fn install_tools(programs: &[&'static str]) -> Result<(), String> {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| !is_installed(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|program| package_of(program)).collect();
    let line = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    let is_root = run("id", ["-u"]).trim() == "0";
    if is_root && is_installed("apt-get") {
        eprintln!("{line}");
        let words = line.split(' ').skip(1);
        // The packages may be named by old lists: those are renewed only where the first attempt fails.
        let install = || apt_get(words.clone().collect());
        if install() || (apt_get(vec!["update"]) && install()) {
            return Ok(());
        }
    }
    Err(format!("these programs are missing: {}; as root: {line}", missing.join(", ")))
}

fn package_of(program: &str) -> &str {
    match program {
        "taskset" => "util-linux",
        "mariadbd" => "mariadb-server",
        program => program,
    }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // nginx is in a folder that only root has in its path.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(program)).any(|file| file.is_file())
}

fn apt_get(arguments: Vec<&str>) -> bool {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What the figures were measured on, in one line.
pub fn description() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let release = run("uname", ["-r"]);
    let kernel = release.split('.').take(2).collect::<Vec<_>>().join(".");
    let cores = thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores of {}, Linux {}.", name.map_or("an unknown processor", |(_, name)| name), kernel)
}

/// The core of the servers and that of the clients, where there are two.
pub struct Cores {
    servers: Option<usize>,
}

impl Cores {
    /// Keeps this process, and what it starts, away from the core of the servers.
    pub fn divide() -> Cores {
        let count = thread::available_parallelism().map_or(1, usize::from);
        if count < 2 {
            eprintln!("servers and clients share the only core: the rates are worth little");
            return Cores { servers: None };
        }
        pin(std::process::id(), 1);
        Cores { servers: Some(0) }
    }

    /// Moves a server, with all its threads, to the servers' core.
    pub fn pin_server(&self, pid: u32) {
        if let Some(core) = self.servers {
            pin(pid, core);
        }
    }

    /// Moves the calling thread of this process there.
    pub fn pin_this_thread_to_servers(&self) {
        if let Some(core) = self.servers {
            let link = fs::read_link("/proc/thread-self").unwrap();
            let thread = link.file_name().unwrap().to_str().unwrap();
            run("taskset", ["-c", "-p", &core.to_string(), thread]);
        }
    }
}

/// Keeps all threads of a process on a core.
fn pin(pid: u32, core: usize) {
    run("taskset", ["-a", "-c", "-p", &core.to_string(), &pid.to_string()]);
}

/// The time that a process has spent on a core, in its own code and in the kernel.
pub fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name of the program, in brackets, may hold spaces: user and system time are the 12th and 13th field after it.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    // USER_HZ has been 100 on every Linux of today's architectures.
    Duration::from_millis(ticks * 10)
}

/// The memory of a process that lies in RAM, in bytes.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
