//! A source that hands out its items in pages.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::running::Running;
use crate::{Bound, Budget, Flow, Outline, Site, Stage};

/// Awaits `fetch(token)` page by page and emits the items of the pages.
///
/// ```text
/// fetch  --()----()
/// out    --(ab)--(c|)    paginate(first, fetch)
/// ```
///
/// A page is `(items, next token)`, and a page without a token is the last. A `fetch` that can
/// fail gives a `Result` of that: then the items are `Result`s, and the error of a page is the
/// last one.
///
/// - **Emits** the items of each page.
/// - **Backpressures** when downstream does: the next page is fetched when the items of this one
///   are out and another is asked for. A fetch that was begun goes on while downstream is busy.
/// - **Ends** after the last page.
/// - **On error**: the error of a fetch is the last item. A panic in `fetch` comes out of the
///   poll; the flow has ended then.
/// - **Holds** one page: [`Bound::Unknown`], because `fetch` decides its size.
/// - **Cost**: that of a page; a clock read in each long turn and every 1,024 items, because pages
///   can be empty.
///
/// ```
/// # futures::executor::block_on(async {
/// use aqueduct_operators::paginate;
/// let orders = paginate(1, async |page| {
///     (vec![page * 10, page * 10 + 1], (page < 3).then_some(page + 1))
/// });
/// assert_eq!(orders.collect::<Vec<_>>().await, [10, 11, 20, 21, 30, 31]);
///
/// let orders = paginate(1, async |page| {
///     if page == 2 { Err("not authorised") } else { Ok((["a", "b"], Some(page + 1))) }
/// });
/// assert_eq!(orders.last().await, Some(Err("not authorised")));
/// # });
/// ```
#[doc(alias("unfold_chunk_eval", "paginate_zio", "paging", "cursor"))]
#[track_caller]
pub fn paginate<C, F, Fut>(first: C, fetch: F) -> Flow<Paginate<C, F, Fut>>
where
    F: FnMut(C) -> Fut,
    Fut: Future<Output: Page<C>>,
{
    Flow::from_stage(Paginate {
        fetch,
        token: Some(first),
        running: Running::idle(),
        items: None,
        budget: Budget::new(),
        site: Location::caller(),
    })
}

/// What a fetch of [`paginate`] gives: `(items, next token)`, or a `Result` of that.
pub trait Page<C> {
    /// What the flow hands out.
    type Item;
    /// The items of a page.
    type Items: Iterator;

    /// The items and the token of the next page, or the last item of the flow.
    fn open(self) -> Result<(Self::Items, Option<C>), Self::Item>;

    /// An item of a page as one of the flow.
    fn item(item: <Self::Items as Iterator>::Item) -> Self::Item;
}

impl<I: IntoIterator, C> Page<C> for (I, Option<C>) {
    type Item = I::Item;
    type Items = I::IntoIter;

    fn open(self) -> Result<(I::IntoIter, Option<C>), I::Item> {
        Ok((self.0.into_iter(), self.1))
    }

    fn item(item: I::Item) -> I::Item {
        item
    }
}

impl<I: IntoIterator, C, E> Page<C> for Result<(I, Option<C>), E> {
    type Item = Result<I::Item, E>;
    type Items = I::IntoIter;

    fn open(self) -> Result<(I::IntoIter, Option<C>), Self::Item> {
        self.map(|(items, token)| (items.into_iter(), token)).map_err(Err)
    }

    fn item(item: I::Item) -> Self::Item {
        Ok(item)
    }
}

/// The stage behind [`paginate`].
#[pin_project]
pub struct Paginate<C, F, Fut: Future<Output: Page<C>>> {
    fetch: F,
    /// That of the next page; `None` while it is fetched and after the last.
    token: Option<C>,
    #[pin]
    running: Running<Fut>,
    /// What is left of a page.
    items: Option<<Fut::Output as Page<C>>::Items>,
    /// One unit for each item and for each page.
    budget: Budget,
    site: Site,
}

impl<C: fmt::Debug, F, Fut: Future<Output: Page<C>>> fmt::Debug for Paginate<C, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paginate").field("token", &self.token).finish_non_exhaustive()
    }
}

impl<C, F, Fut> Stage for Paginate<C, F, Fut>
where
    F: FnMut(C) -> Fut,
    Fut: Future<Output: Page<C>>,
{
    type Item = <Fut::Output as Page<C>>::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            if let Some(items) = this.items {
                if !this.budget.spend(cx) {
                    return Poll::Pending;
                }
                if let Some(item) = items.next() {
                    return Poll::Ready(Some(<Fut::Output as Page<C>>::item(item)));
                }
                *this.items = None;
            }
            if this.running.is_idle() {
                let Some(token) = this.token.take() else {
                    return Poll::Ready(None);
                };
                let fetch = (this.fetch)(token);
                this.running.as_mut().start(fetch);
            }
            let Poll::Ready(page) = this.running.as_mut().poll(cx) else {
                this.budget.rest();
                return Poll::Pending;
            };
            match page.open() {
                Ok((items, token)) => {
                    *this.items = Some(items);
                    *this.token = token;
                }
                Err(last) => return Poll::Ready(Some(last)),
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().running.drive(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.items.as_ref().map_or((0, Some(0)), Iterator::size_hint);
        let last = self.token.is_none() && self.running.is_idle();
        (least, if last { most } else { None })
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("paginate", self.site).holds(Bound::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::ready;

    use futures::FutureExt;

    use super::paginate;
    use crate::testing::{every_way, items, marbles, ms, timeline};
    use crate::{Clock, iter, timer};

    #[test]
    fn a_page_is_fetched_when_the_items_of_the_one_before_are_out() {
        let fetched = RefCell::new(Vec::new());
        let flow = paginate(0, async |page| {
            iter([()]).delay(ms(5), 1).drain().await;
            fetched.borrow_mut().push((page, Clock::current().now().as_millis()));
            (vec![page; 2], (page < 1).then_some(page + 1))
        });
        assert_eq!(timeline(flow), (vec![(5, 0), (5, 0), (10, 1), (10, 1)], 10));
        assert_eq!(fetched.take(), [(0, 5), (1, 10)]);
    }

    #[test]
    fn empty_pages_are_passed_over_and_a_page_without_a_token_is_the_last() {
        let pages = || paginate(0, |n| ready((0..n, (n < 4).then_some(n + 2))));
        assert_eq!(every_way(pages), [0, 1, 0, 1, 2, 3]);
    }

    #[test]
    fn the_error_of_a_page_is_the_last_item() {
        let fetch = |n| ready(if n < 1 { Ok(([n], Some(n + 1))) } else { Err('x') });
        assert_eq!(items(paginate(0, fetch)), [Ok(0), Err('x')]);
    }

    #[test]
    fn empty_pages_without_an_end_let_others_run() {
        let flow = paginate((), |()| ready(([0; 0], Some(()))));
        assert!(flow.drain().now_or_never().is_none());
    }

    marbles!(paginate, || {
        paginate(0, async |page| {
            timer(ms([2, 6][page])).drain().await;
            if page == 0 { (vec!['a', 'b'], Some(1)) } else { (vec!['c'], None) }
        })
    });
}
