//! Wires that keep every frame for a while and lose some; netem would do it, where the kernel has it.
//!
//! Each leg to the internet is cut in two: its plug goes to a bridge of its own, and a process of this program carries the
//! frames between that one and the internet's, through two TAP devices.

use std::{
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::{Duration, Instant},
};

use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::{
    daemon::{self, Process},
    namespace::Namespace,
    world::until,
};

/// What makes this program such wires.
pub(crate) const COMMAND: &str = "--serve-wires";

/// What each leg does to each frame, there and back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) delay_ms: u64,
    pub(crate) loss_percent: u64,
}

/// Frames that are under way on one wire; more are lost.
const UNDER_WAY_MAX: usize = 4096;
const FRAME_BYTES_MAX: usize = 2048;
const LAYING_TIME: Duration = Duration::from_secs(10);

impl Wire {
    /// Puts such a wire between the internet and each of these plugs of it.
    pub(crate) fn lay(self, internet: &Namespace, plugs: &[String], home: &Path) -> Result<Process, String> {
        let mut wires = internet.command(daemon::this_program()?);
        wires.args(["nat-lab", COMMAND, &self.delay_ms.to_string(), &self.loss_percent.to_string()]);
        wires.arg(plugs.len().to_string());
        let process = daemon::spawn(&mut wires, &home.join("wires.log"))?;
        for (number, plug) in plugs.iter().enumerate() {
            let (near, far) = ends(number);
            internet.ip(&format!("link add name leg{number} type bridge"))?;
            internet.ip(&format!("link set leg{number} up"))?;
            internet.ip(&format!("link set {plug} master leg{number}"))?;
            for (end, bridge) in [(near, format!("leg{number}")), (far, "switch".to_owned())] {
                let set = format!("link set {end} master {bridge} up");
                until("the wires are there", LAYING_TIME, || internet.ip(&set).map(|()| true))?;
            }
        }
        Ok(process)
    }
}

/// Carries frames until it is ended: milliseconds, percent, and how many wires.
pub(crate) fn serve(arguments: &[String]) -> Result<(), String> {
    let numbers: Vec<u64> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let [delay_ms, loss_percent, count] = numbers[..] else { return Err("a delay, a loss and a count".to_owned()) };
    let mut directions = Vec::new();
    for number in 0..usize::try_from(count).map_err(|cause| cause.to_string())? {
        let (near, far) = ends(number);
        directions.push((device(&near)?, device(&far)?));
    }
    std::thread::scope(|scope| {
        for (number, (near, far)) in directions.iter().enumerate() {
            for (from, to, salt) in [(near, far, 0), (far, near, 1)] {
                let (under_way, arriving) = sync_channel(UNDER_WAY_MAX);
                let mut chance = Chance(2 * number as u64 + salt + 1);
                let delay = Duration::from_millis(delay_ms);
                scope.spawn(move || leave(from, &under_way, delay, || chance.percent() < loss_percent));
                scope.spawn(move || arrive(to, &arriving));
            }
        }
    });
    Err("the wires are cut".to_owned())
}

/// What both sides call the two ends of a wire: that of the leg, and that of the internet.
fn ends(number: usize) -> (String, String) {
    (format!("near{number}"), format!("far{number}"))
}

fn device(name: &str) -> Result<SyncDevice, String> {
    let made = DeviceBuilder::new().name(name).layer(Layer::L2).build_sync();
    made.map_err(|cause| format!("could not make the TAP device {name}: {cause}"))
}

fn leave(
    from: &SyncDevice,
    under_way: &SyncSender<(Instant, Vec<u8>)>,
    delay: Duration,
    mut is_lost: impl FnMut() -> bool,
) {
    let mut frame = [0; FRAME_BYTES_MAX];
    // It ends with the device, and all end together.
    while let Ok(length) = from.recv(&mut frame) {
        if !is_lost() {
            let _ = under_way.try_send((Instant::now() + delay, frame[..length].to_vec()));
        }
    }
}

fn arrive(to: &SyncDevice, arriving: &Receiver<(Instant, Vec<u8>)>) {
    for (due, frame) in arriving {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        // A device that is down loses it.
        let _ = to.send(&frame);
    }
}

/// Marsaglia's xorshift: the same losses in each run, as far as the frames are the same.
struct Chance(u64);

impl Chance {
    fn percent(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % 100
    }
}
