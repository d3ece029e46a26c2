//! Answers of what runs beside the driver.

use std::sync::Arc;

use tokio::sync::mpsc;

/// Wakes the driver.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Where the answers of one effect come to.
pub struct Inbox<T> {
    answers: Answers<T>,
    came: mpsc::UnboundedReceiver<T>,
}

/// Sends answers; each wakes the driver.
pub struct Answers<T> {
    sender: mpsc::UnboundedSender<T>,
    wake: Wake,
}

impl<T> Clone for Answers<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), wake: Arc::clone(&self.wake) }
    }
}

impl<T> Answers<T> {
    /// Sends one; `false` once nobody takes any.
    pub fn send(&self, answer: T) -> bool {
        let sent = self.sender.send(answer).is_ok();
        if sent {
            (self.wake)();
        }
        sent
    }
}

impl<T> Inbox<T> {
    /// An empty one.
    pub fn new(wake: &Wake) -> Self {
        let (sender, came) = mpsc::unbounded_channel();
        Self { answers: Answers { sender, wake: Arc::clone(wake) }, came }
    }

    /// For who answers.
    pub fn answers(&self) -> Answers<T> {
        self.answers.clone()
    }

    /// The next answer, if one has come.
    pub fn next(&mut self) -> Option<T> {
        self.came.try_recv().ok()
    }
}
