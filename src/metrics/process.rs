//! What the kernel knows of this process, by the names that every Prometheus client library has for it. IO: `/proc`.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

/// Writes what can be read; there is nothing to read where there is no `/proc`.
#[cfg(not(target_os = "linux"))]
pub(super) fn write(_: &mut DescriptorEncoder<'_>) -> fmt::Result {
    Ok(())
}

/// Writes what can be read.
#[cfg(target_os = "linux")]
pub(super) fn write(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    use procfs::process::{LimitValue, Process};

    use super::table::{CPU, MAX_FDS, MEMORY, OPEN_FDS, STARTED, VIRTUAL};
    use super::write::number;

    let Ok(own) = Process::myself() else { return Ok(()) };
    if let Ok(stat) = own.stat() {
        let seconds = |ticks: u64| std::time::Duration::from_secs(ticks).as_secs_f64() / ticks_per_second();
        number(encoder, &CPU, seconds(stat.utime.saturating_add(stat.stime)))?;
        number(encoder, &MEMORY, stat.rss.saturating_mul(procfs::page_size()))?;
        number(encoder, &VIRTUAL, stat.vsize)?;
        if let Ok(booted) = procfs::boot_time_secs() {
            let booted = std::time::Duration::from_secs(booted).as_secs_f64();
            number(encoder, &STARTED, booted + seconds(stat.starttime))?;
        }
    }
    if let Ok(open) = own.fd_count() {
        number(encoder, &OPEN_FDS, u64::try_from(open).unwrap_or(u64::MAX))?;
    }
    match own.limits().map(|limits| limits.max_open_files.soft_limit) {
        Ok(LimitValue::Value(most)) => number(encoder, &MAX_FDS, most),
        Ok(LimitValue::Unlimited) | Err(_) => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn ticks_per_second() -> f64 {
    // The kernel's answer is 100 on every machine of today.
    std::time::Duration::from_secs(procfs::ticks_per_second().max(1)).as_secs_f64()
}
