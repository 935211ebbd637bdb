//! A bounded number of things that are opened when they are asked for. When there is no place for another one, the least
//! recently used that nobody holds is closed.
//!
//! Opening and closing may wait for the disk: nobody waits with them who asks for something else, and nothing is opened
//! twice or before it is closed.
#![forbid(unsafe_code)]

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// A panicking worker aborts the process before anyone can see the poison.
const NO_POISON: &str = "a worker that panics ends the process";

/// Things by their numbers. Whoever asks for one holds no other, and fewer ask at a time than there are places.
pub struct Places<T: ?Sized> {
    count: usize,
    /// The least recently used first.
    taken: Mutex<Vec<Place<T>>>,
    /// Something was opened or closed.
    moved: Condvar,
}

struct Place<T: ?Sized> {
    number: u128,
    /// Empty while somebody opens or closes it.
    thing: Option<Arc<T>>,
    /// It was asked for since [`Places::close_unused`] came by.
    was_used: bool,
    /// It is of no use any more.
    is_spoilt: bool,
}

impl<T: ?Sized> Place<T> {
    /// Whether nobody holds it. It is given away under the lock only, so this stays so as long as the lock is held.
    fn is_idle(&self) -> bool {
        self.thing.as_ref().is_some_and(|thing| Arc::strong_count(thing) == 1)
    }
}

impl<T: ?Sized> Places<T> {
    /// So many places, all free.
    pub fn new(count: usize) -> Places<T> {
        Places { count, taken: Mutex::new(Vec::new()), moved: Condvar::new() }
    }

    /// The thing with this number, opened by `open` if it is not open. Where there is none, no place is taken.
    pub fn get<E>(
        &self,
        number: u128,
        open: impl FnOnce() -> Result<Option<Arc<T>>, E>,
    ) -> Result<Option<Arc<T>>, E> {
        let mut taken = self.lock();
        loop {
            let found = taken.iter().position(|place| place.number == number);
            let in_the_way = match found.map(|at| (at, &taken[at])) {
                Some((_, Place { thing: None, .. })) => {
                    taken = self.moved.wait(taken).expect(NO_POISON);
                    continue;
                }
                Some((at, place)) if place.is_spoilt && place.is_idle() => at,
                Some((at, _)) => {
                    let mut place = taken.remove(at);
                    place.was_used = true;
                    let thing = place.thing.clone();
                    taken.push(place);
                    return Ok(thing);
                }
                None if taken.len() < self.count => break,
                None => taken.iter().position(Place::is_idle).expect("fewer are held than there are places"),
            };
            taken = self.close(taken, in_the_way);
        }
        taken.push(Place { number, thing: None, was_used: true, is_spoilt: false });
        drop(taken);
        let opened = open();
        let mut taken = self.lock();
        let at = taken.iter().position(|place| place.number == number).expect("its place is kept");
        match &opened {
            Ok(Some(thing)) => taken[at].thing = Some(Arc::clone(thing)),
            Ok(None) | Err(_) => drop(taken.remove(at)),
        }
        self.moved.notify_all();
        opened
    }

    /// Has the thing with this number, if it is open, opened anew once nobody holds it.
    pub fn spoil(&self, number: u128) {
        if let Some(place) = self.lock().iter_mut().find(|place| place.number == number) {
            place.is_spoilt = true;
        }
    }

    /// Closes what nobody holds and nobody has asked for since the last call; how many are left.
    pub fn close_unused(&self) -> usize {
        let mut taken = self.lock();
        while let Some(at) = taken.iter().position(|place| place.is_idle() && !place.was_used) {
            taken = self.close(taken, at);
        }
        taken.iter_mut().for_each(|place| place.was_used = false);
        taken.len()
    }

    /// Closes what is in a place without holding the lock, then frees the place.
    fn close<'p>(
        &'p self,
        mut taken: MutexGuard<'p, Vec<Place<T>>>,
        at: usize,
    ) -> MutexGuard<'p, Vec<Place<T>>> {
        let number = taken[at].number;
        let thing = taken[at].thing.take();
        drop(taken);
        drop(thing);
        let mut taken = self.lock();
        taken.retain(|place| place.number != number);
        self.moved.notify_all();
        taken
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Place<T>>> {
        self.taken.lock().expect(NO_POISON)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
    use std::thread;

    fn open(value: u128) -> Result<Option<Arc<u128>>, ()> {
        Ok(Some(Arc::new(value)))
    }

    fn again(_: u128) -> Result<Option<Arc<u128>>, ()> {
        panic!("it is open")
    }

    #[test]
    fn the_least_recently_used_that_nobody_holds_is_closed() {
        let places = Places::new(2);
        let one = places.get(1, || open(1)).unwrap();
        places.get(2, || open(2)).unwrap();
        places.get(1, || again(1)).unwrap();
        places.get(3, || open(3)).unwrap();
        assert_eq!(places.get(1, || again(1)), Ok(one.clone()));
        // Two was closed for three; three goes for two, since one is held.
        assert_eq!(places.get(2, || open(20)).unwrap().as_deref(), Some(&20));
        drop(one);
        places.get(3, || open(30)).unwrap();
        assert_eq!(places.get(1, || open(10)).unwrap().as_deref(), Some(&10));
    }

    #[test]
    fn what_is_not_used_for_a_while_is_closed() {
        let places = Places::new(3);
        let held = places.get(1, || open(1)).unwrap();
        places.get(2, || open(2)).unwrap();
        places.get(3, || open(3)).unwrap();
        assert_eq!(places.close_unused(), 3, "all were used");
        places.get(3, || again(3)).unwrap();
        assert_eq!(places.close_unused(), 2, "one is held, one was used");
        assert_eq!(places.get(2, || open(20)).unwrap().as_deref(), Some(&20));
        drop(held);
        assert_eq!((places.close_unused(), places.close_unused()), (1, 0));
    }

    #[test]
    fn what_cannot_be_opened_takes_no_place() {
        let places = Places::new(1);
        assert_eq!(places.get(1, || Err("no")), Err::<Option<Arc<u128>>, _>("no"));
        assert_eq!(places.get(1, || Ok::<_, &str>(None)), Ok(None));
        assert_eq!(places.lock().len(), 0);
        assert_eq!(places.get(1, || open(1)).unwrap().as_deref(), Some(&1));
    }

    #[test]
    fn what_is_spoilt_is_opened_anew_once_nobody_holds_it() {
        let places = Places::new(2);
        let held = places.get(1, || open(1)).unwrap();
        places.spoil(1);
        places.spoil(2);
        assert_eq!(places.get(1, || again(1)), Ok(held.clone()));
        drop(held);
        assert_eq!(places.get(1, || open(10)).unwrap().as_deref(), Some(&10));
        assert_eq!(places.get(1, || again(1)).unwrap().as_deref(), Some(&10));
    }

    /// Is open from its making to its end.
    struct Door<'d>(&'d AtomicBool, &'d AtomicUsize);
    impl Drop for Door<'_> {
        fn drop(&mut self) {
            assert!(self.0.swap(false, SeqCst));
            self.1.fetch_sub(1, SeqCst);
        }
    }

    #[test]
    fn nothing_is_open_twice_and_never_too_much() {
        const PLACES: usize = 5;
        let doors: [AtomicBool; 12] = Default::default();
        let (open, opened) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let places = Places::new(PLACES);
        let (doors, open, opened, places) = (&doors, &open, &opened, &places);
        thread::scope(|scope| {
            for worker in 0..PLACES - 1 {
                scope.spawn(move || {
                    for round in 0..5_000_usize {
                        let number = (round * (worker + 3) + round * round * worker) % doors.len();
                        let held = places.get(number as u128, || {
                            assert!(!doors[number].swap(true, SeqCst));
                            assert!(open.fetch_add(1, SeqCst) < PLACES);
                            opened.fetch_add(1, SeqCst);
                            Ok::<_, ()>(Some(Arc::new(Door(&doors[number], open))))
                        });
                        assert!(held.unwrap().unwrap().0.load(SeqCst));
                        if round % 50 == 0 {
                            places.spoil(number as u128);
                        }
                    }
                });
            }
        });
        assert!(opened.load(SeqCst) > 1_000);
    }
}
