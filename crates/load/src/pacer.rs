//! Waiting until a moment, as exactly as the system can: tokio's own timers go by milliseconds.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::LoadError;

/// A timer for one waiter.
#[derive(Debug)]
pub(crate) struct Pacer(system::Timer);

impl Pacer {
    pub(crate) fn new() -> Result<Self, LoadError> {
        system::Timer::new().map(Self).map_err(LoadError::Timer)
    }

    /// Waits until `moment`; at once if it has passed.
    pub(crate) async fn until(&mut self, moment: Instant) -> Result<(), LoadError> {
        let wait = moment.saturating_duration_since(Instant::now());
        if wait > Duration::ZERO {
            self.0.wait(wait).await.map_err(LoadError::Timer)?;
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod system {
    //! A timer that is a descriptor, on the event loop beside the sockets. It is read as a pipe is.

    use std::io;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::AsyncReadExt;
    use tokio::net::unix::pipe::Receiver;

    #[derive(Debug)]
    pub(super) struct Timer(Receiver);

    impl Timer {
        pub(super) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            Receiver::from_owned_fd_unchecked(timer).map(Self)
        }

        pub(super) async fn wait(&mut self, wait: Duration) -> io::Result<()> {
            let value = Timespec::try_from(wait).map_err(io::Error::other)?;
            let once = Itimerspec {
                it_interval: Timespec::default(),
                it_value: value,
            };
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
            // Eight bytes come when it expires: how often it did.
            let mut expirations = [0; 8];
            self.0.read_exact(&mut expirations).await.map(|_read| ())
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    //! tokio's timers, exact to a millisecond.

    use std::io;
    use std::time::Duration;

    #[derive(Debug)]
    pub(super) struct Timer;

    impl Timer {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn wait(&mut self, wait: Duration) -> io::Result<()> {
            tokio::time::sleep(wait).await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    //! It never returns too early, and again and again.

    use std::time::Duration;

    use tokio::time::Instant;

    use super::Pacer;

    #[tokio::test]
    async fn it_waits_until_the_moment_and_not_for_one_that_passed() {
        let mut pacer = Pacer::new().unwrap();
        let began = Instant::now();
        pacer.until(began).await.unwrap();
        for step in 1..=50_u32 {
            let moment = began + Duration::from_micros(300) * step;
            pacer.until(moment).await.unwrap();
            assert!(Instant::now() >= moment, "step {step}");
        }
        pacer.until(began).await.unwrap();
    }
}
