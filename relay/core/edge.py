"""Everything a relay decides between its topics and its minions, as one machine without input or output of
its own.

Owns the leases. Words come in as method calls with the time in ms; what follows from them is collected: for
minions in the outboxes of the `woken` sessions, for Kafka in `records`, for the consumer in `pauses` and
`resumes`, for people in `remarks`. The shell takes these away after each call. Nothing here waits, logs, or
looks at a clock.

Hand-over: the offset of a dispatch is finished when a record about it (`started`, or a receipt) is durable,
which the shell tells by `stored`. Until then a crash of the relay lets another one run it; from then on the
state machine watches over the lease.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Mapping

from relay.core.assign import seed_of
from relay.core.beats import Beater
from relay.core.call import Worker
from relay.core.call_session import SessionWorker, end_of, word_of
from relay.core.calls import Calls, calls_status
from relay.core.hello import CAPACITY_MAX, check_hello
from relay.core.lanes import Lanes, Name, Token, Turn, Verdict, in_order, leads, name_of, token_of
from relay.core.limits import Limits
from relay.core.parcel import Parcel, parcel_of
from relay.core.record import Ending, Record
from relay.core.router import Router
from relay.core.serving import Serving
from relay.core.session import Breach, Lease, Refusal, Session, SessionPhase
from relay.core.tokens import EVERYTHING, Grant
from relay.core.told import partition_statuses, running_statuses, session_status
from relay.core.traffic import Traffic
from relay.core.translate import (
    held_message,
    lease_of_held,
    note_beat,
    outcome_of,
    receipt_handed_back,
    receipt_of_minion,
    receipt_of_relay,
    shown,
)
from relay.core.window import Window, identity
from schemas.defaults import HEARTBEAT_TIMEOUT_MS, NAME_CHARS_MAX, RESUME_GRACE_MS
from schemas.events import Control, Dispatch, Receipt
from schemas.proto import relay_pb2
from schemas.words import ControlName, Outcome

SESSIONS_MAX = 2_000
"""Sessions of one relay."""

STALL_MS = 1_000
"""A relay that did not tick for so long was itself away, and holds its minions' silence against nobody."""

LOOK_EVERY_MS = 200
"""How often sessions are looked at for silence, and what waits for functions that nobody has."""

QUICK_MS = 50
"""A lane whose last job took no longer has its next ones given out behind the one that runs."""

FREE_SHARE = 4
"""One of so many places of a session stays free of jobs that wait there for another one."""

ENDED_MAX = 20_000
"""Ends that are remembered, so that a dispatch read again does not begin again (about 6 MB)."""

ENDED_KEEP_MS = 600_000
"""For how long."""

NAMED_MAX = 20
"""Jobs that one remark names."""

CANCELS_MAX = 50_000
"""Cancels that are remembered for dispatches that come later (about 20 MB)."""


class Edge:
    """The machine. All times are ms on one clock that never goes back."""

    def __init__(
        self,
        relay: str,
        partitions: int,
        now_ms: int,
        limits: Mapping[str, int] | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        """`traffic` is what the scheduler of minions is told by; None: there is no scheduler."""
        self.relay = relay
        self.partitions = partitions
        self.traffic = traffic or Traffic()
        self._limits = Limits(limits)
        self.calls = Calls(self._limits)
        """Foreground calls, which share the sessions' places with the jobs."""
        self.router = Router(self._limits, self.traffic.offers)
        self.sessions: dict[str, Session] = {}
        self.leases: dict[str, Lease] = {}
        self.woken: set[Session] = set()
        self.records: list[Record] = []
        self.remarks: list[str] = []
        self.pauses: list[Window] = []
        self.resumes: list[Window] = []
        self.draining = False
        self.assigned = self.spilled = 0
        self.outcomes: Counter[str] = Counter()
        """Attempts that ended here, by how."""
        self._beater = Beater(relay, now_ms)
        self._orphaned: deque[tuple[int, Session, str]] = deque()
        self._kept: deque[Parcel] = deque()
        self._ended: OrderedDict[tuple[str, int], Ending] = OrderedDict()
        self._cancels: OrderedDict[str, Control] = OrderedDict()
        self._paused: set[Window] = set()
        self._freed: set[Session] = set()
        self.serving = Serving(relay, limited=bool(self._limits))
        self._lanes = Lanes()
        self._lane_ends: deque[tuple[Name, Token, bool, bool]] = deque()
        self._ticked_ms = now_ms
        self._looked_ms = now_ms

    # What minions say.

    def hello(
        self, said: relay_pb2.Hello, session_id: str, now_ms: int, allowed: Grant = EVERYTHING
    ) -> Session:
        """Opens a session and gives it back what it still holds; raises Breach with the reason if it may not
        be.
        """
        if self.draining:
            raise Breach("this relay is going away; connect to another one", Refusal.LEAVING)
        if len(self.sessions) >= SESSIONS_MAX:
            raise Breach(f"this relay takes {SESSIONS_MAX} sessions, and has as many", Refusal.FULL)
        check_hello(said)
        if said.held and not self.partitions:
            raise Breach("this relay has calls only: it takes no leases of another one", Refusal.FULL)
        session = Session(
            session_id,
            said.minion,
            frozenset(said.queues),
            frozenset(said.functions),
            said.capacity,
            seed=seed_of(said.minion),
            allowed=allowed,
            sdk=said.sdk[:NAME_CHARS_MAX],
        )
        session.follows = said.follows
        session.check_offer()
        held = [lease_of_held(lease, session, self.partitions) for lease in said.held]
        for lease in held:
            session.check_allowed(lease.queue, lease.function)
        if said.calls:
            session.worker = SessionWorker(session, said)
        session.heard_at_ms = session.opened_at_ms = now_ms
        self.sessions[session_id] = session
        dropped = [lease for lease in held if not self._adopt(lease, session, now_ms)]
        if dropped:
            reason = "these leases are no longer yours"
            drop = relay_pb2.Drop(leases=[held_message(lease) for lease in dropped], reason=reason)
            self._note(session, relay_pb2.FromRelay(drop=drop))
        self.router.join(session)
        if session.worker is not None:
            self.calls.join(session.worker, now_ms)
        self._turn_lanes(now_ms)
        self._use_freed(now_ms)
        return session

    def credit(self, session: Session, more: int, now_ms: int) -> None:
        """Lets a session have more jobs; raises Breach if that is more than its capacity."""
        session.grant(more)
        self._fill(session, now_ms)

    def recall(self, session: Session, up_to: int) -> None:
        """The minion needs credits at another relay: takes unspent ones back, and says how many."""
        count = session.recall(up_to)
        self._note(session, relay_pb2.FromRelay(recalled=relay_pb2.Recalled(count=count)))

    def receipts(self, session: Session, batch: Iterable[relay_pb2.Receipt], now_ms: int) -> None:
        """Ends leases by their minion's word; raises Breach for a receipt that makes no sense."""
        for said in batch:
            outcome_of(said)
            session.receive(said.number)
            self._receipt(session, said, now_ms)
        self._turn_lanes(now_ms)
        self._fill(session, now_ms)
        self._use_freed(now_ms)

    def beats(self, session: Session, batch: Iterable[relay_pb2.Beat]) -> None:
        """Keeps where attempts are; a change is written at the next tick."""
        for said in batch:
            lease = session.leases.get(said.job)
            if lease is None or lease.epoch != said.epoch:
                continue
            note_beat(lease, said)
            if said.progress:
                self._beater.progressed(lease)

    def runs(self, session: Session, said: relay_pb2.RunBatch, now_ms: int) -> None:
        """Words on calls that the minion runs, and credits besides; raises Breach for what makes no sense.

        Words on runs that are over, since nobody waits for them, are ignored.
        """
        worker = session.worker
        if worker is None:
            raise Breach("a minion whose hello does not say calls must not say anything of runs")
        for word in said.words:
            if not word.HasField("end"):
                self.calls.said(worker, word.run, word_of(word), now_ms)
                continue
            end = end_of(word.end, session)
            if end is None:
                self.calls.give_back(worker, word.run, now_ms)
            else:
                self.calls.ended(worker, word.run, end, now_ms)
        if said.credit:
            session.grant(said.credit)
        self._fill(session, now_ms)
        self._use_freed(now_ms)

    def minion_drains(self, session: Session, now_ms: int) -> None:
        """The minion wants no more jobs."""
        if session.phase is SessionPhase.READY:
            session.phase = SessionPhase.DRAINING
            self.router.leave(session, now_ms)
            if session.worker is not None:
                self.calls.retire(session.worker, now_ms)

    def broken(self, session: Session, reason: str, now_ms: int) -> None:
        """The stream of a session ended: its leases wait for its return, but what was never sent is handed
        back.
        """
        if session.phase is SessionPhase.GONE:
            return
        session.phase = SessionPhase.GONE
        self.router.leave(session, now_ms)
        del self.sessions[session.id]
        self.woken.discard(session)
        for lease, _ in session.outbox.jobs:
            if not lease.over and lease.session is session:
                self._end_by_relay(lease, Outcome.INTERRUPTED, f"not sent to its minion: {reason}", now_ms)
        session.outbox.jobs.clear()
        if session.worker is not None:
            self.calls.gone(session.worker, now_ms, reason, [run.number for run in session.outbox.runs])
            session.outbox.runs.clear()
        if self.draining:
            for lease in list(session.leases.values()):
                self._let_go(lease)
        elif session.leases:
            self._orphaned.append((now_ms + RESUME_GRACE_MS, session, reason))

    # What the topics say.

    def dispatched(
        self, window: Window, offset: int, dispatch: Dispatch, size_bytes: int, now_ms: int
    ) -> None:
        """Takes in a record of a dispatch topic: it is assigned, or waits, or is known to be no longer
        wanted.
        """
        if not window.deliver(offset, identity(dispatch)):
            return
        parcel = parcel_of(dispatch, window, offset, size_bytes, now_ms)
        # What comes after one that is kept, in a lane, would be handed back again and again meanwhile.
        if now_ms < window.hold_until_ms and (offset < window.end_at_start or in_order(parcel)):
            window.wait(size_bytes)
            self._kept.append(parcel)
        else:
            self._offer(parcel, now_ms)
            self._turn_lanes(now_ms)
            self._use_freed(now_ms)
        if not window.paused and window.crowded(len(self.router.parcels)):
            window.paused = True
            self._paused.add(window)
            self.pauses.append(window)

    def control(self, control: Control) -> None:
        """Takes in a cancel: for what waits, for what runs, and for what is yet to come."""
        if control.control != ControlName.CANCEL:
            return
        self._cancels[control.job] = control
        self._cancels.move_to_end(control.job)
        if len(self._cancels) > CANCELS_MAX:
            self._cancels.popitem(last=False)
        parcel = self.router.parcels.get(control.job)
        parcel = parcel or self._lanes.parcels.get(control.job)
        if parcel is not None and self._cancelled(parcel.dispatch):
            self._unline(parcel)
            parcel.window.done(parcel.offset)
        lease = self.leases.get(control.job)
        if lease is not None and lease.epoch <= control.epoch:
            self._cancel(lease, "it was called off")

    def pause(self, queues: frozenset[str], now_ms: int) -> None:
        """These queues are paused from now on, and no others: what waits in them waits on, what runs goes
        on.
        """
        resumed = self.router.paused - queues
        self.router.paused = queues
        if resumed:
            for session in self.sessions.values():
                self._fill(session, now_ms)

    def revoked(self, windows: Iterable[Window]) -> None:
        """Partitions go to another relay: what waits from them is forgotten, what runs goes on."""
        for window in windows:
            window.closed = True
            for parcel in self.router.forget(window):
                self.traffic.done(parcel.dispatch.queue, parcel.dispatch.function)
            self._lanes.forget(window)
            self.serving.forget(window)
            self._paused.discard(window)

    def announce(self, windows: Iterable[Window], now_ms: int) -> None:
        """Tells at once of the leases of these partitions, however young, so that their offsets can be let
        go.
        """
        wanted = set(windows)
        self._beater.announce(lease for lease in self.leases.values() if lease.window in wanted)
        self.records += self._beater.flush(now_ms)

    def serve(self, windows: Iterable[Window], now_ms: int) -> None:
        """Tells the state machine which functions have a minion here, for the partitions that are read here:
        what is new at once and a moment later once more, all of it every ANNOUNCE_EVERY_MS; and which limits
        their jobs wait for.
        """
        functions, limited = self.router.functions(), self.router.limited()
        for window in windows:
            found = functions.get(window.queue, frozenset())
            limits = limited.get(window.queue, frozenset())
            self.records += self.serving.due(window.queue, window, found, now_ms, limits)

    def stored(self, record: Record) -> None:
        """Kafka has a record: what it is about need not be read again."""
        for lease in record.leases:
            lease.told = True
            if lease.window is not None:
                lease.window.done(lease.offset)
        if record.ending is not None:
            record.ending.stored = True
            for window, offset in record.ending.places:
                window.done(offset)
            self._let_lanes_go_on(record)
        if record.session is not None:
            self._acknowledge(record.session, record.number)

    def status(
        self, windows: Iterable[Window], now_ms: int, ends: Mapping[tuple[str, int], int] | None = None
    ) -> relay_pb2.StatusReply:
        """What it does now. `ends`: where partitions end, by topic and number, as far as that is known."""
        return relay_pb2.StatusReply(
            relay=self.relay,
            draining=self.draining,
            leases=len(self.leases),
            assigned=self.assigned,
            spilled=self.spilled,
            lanes=len(self._lanes),
            sessions=map(session_status, self.sessions.values()),
            partitions=partition_statuses(windows, ends or {}),
            waiting=self.router.status(),
            calls=calls_status(self.calls, now_ms),
            running=running_statuses(self.leases.values()),
            now_ms=now_ms,
            longest_lanes=self._lanes.status(),
        )

    def go_on(self, now_ms: int) -> None:
        """Gives out what waited for records that are durable now. To be called after `stored`."""
        self._turn_lanes(now_ms)
        self._use_freed(now_ms)

    # What time says.

    def busy(self) -> bool:
        """True if a tick may have something to do; while it is False, none need come."""
        return bool(
            self.leases
            or self.calls.runs
            or self._orphaned
            or self._kept
            or self._paused
            or self._beater.pending()
            or self._lane_ends
            or self._lanes.parcels
            or self.router.parcels
        )

    def tick(self, now_ms: int) -> None:
        """Does what is due. To be called every TICK_MS while `busy`."""
        if now_ms - self._ticked_ms > STALL_MS:
            for session in self.sessions.values():
                session.heard_at_ms = now_ms
        self._ticked_ms = now_ms
        for lease in self._beater.turn(now_ms):
            self._take_away(lease, f"its time of {lease.timeout_ms} ms is over")
        while self._orphaned and self._orphaned[0][0] <= now_ms:
            _, session, reason = self._orphaned.popleft()
            self._lose(session, reason, now_ms)
        while self._kept and self._kept[0].window.hold_until_ms <= now_ms:
            parcel = self._kept.popleft()
            parcel.window.go(parcel.size_bytes)
            if not parcel.window.closed:
                self._offer(parcel, now_ms)
        if now_ms - self._looked_ms >= LOOK_EVERY_MS:
            self._looked_ms = now_ms
            self._look(now_ms)
        self._turn_lanes(now_ms)
        self._use_freed(now_ms)
        waiting = len(self.router.parcels)
        for window in [window for window in self._paused if window.roomy(waiting)]:
            window.paused = False
            self._paused.discard(window)
            self.resumes.append(window)
        self.records += self._beater.flush(now_ms)

    def drain(self, reason: str, grace_ms: int, now_ms: int) -> None:
        """The relay goes away: nothing more is assigned, and every minion is told."""
        self.draining = True
        self.calls.drain(reason, now_ms)
        for session in self.sessions.values():
            self.minion_drains(session, now_ms)
            self._note(session, relay_pb2.FromRelay(drain=relay_pb2.Drain(reason=reason, grace_ms=grace_ms)))

    # Leases begin.

    def _offer(self, parcel: Parcel, now_ms: int) -> None:
        """Finds out whether a dispatch still has to be run, and by whom."""
        dispatch, window = parcel.dispatch, parcel.window
        ending = self._ended.get((dispatch.job, dispatch.epoch))
        if ending is not None and ending.created_at_ms in (0, dispatch.created_at_ms):
            if ending.stored:
                window.done(parcel.offset)
            else:
                ending.places.append((window, parcel.offset))
            return
        if self._cancelled(dispatch):
            window.done(parcel.offset)
            return
        if self._settled(parcel) or self._expired(parcel, now_ms):
            return
        if in_order(parcel):
            self._turn_lanes(now_ms)
            verdict = self._lanes.admit(parcel)
            if verdict is not Verdict.RUN:
                if verdict is Verdict.BACK:
                    self._hand_back(parcel, Outcome.PARKED, now_ms)
                elif leads(parcel):
                    self._let_follow(name_of(parcel), now_ms)
                return
        self._place(parcel, now_ms)

    def _place(self, parcel: Parcel, now_ms: int) -> None:
        self.traffic.inbound(parcel.dispatch.queue, parcel.dispatch.function)
        placed = self.router.place(parcel)
        if placed is not None:
            session, spilled = placed
            self._lease(parcel, session, now_ms, spilled=spilled)

    def _turn_lanes(self, now_ms: int) -> None:
        """Lets lanes whose job ended go on, or hands back what came after it."""
        while self._lane_ends:
            name, token, success, quick = self._lane_ends.popleft()
            self._turned(self._lanes.ended(name, token, success=success, quick=quick), now_ms)
            self._let_follow(name, now_ms)

    def _turned(self, turn: Turn, now_ms: int) -> None:
        for parcel in turn.back:
            self._hand_back(parcel, Outcome.PARKED, now_ms)
        if turn.begun is not None:
            self._begin(turn.begun, now_ms)
        if turn.run is not None and not self._expired(turn.run, now_ms):
            self._place(turn.run, now_ms)

    def _begin(self, token: Token, now_ms: int) -> None:
        """The one before a lease has ended: its time begins, though its minion may have to hand it back."""
        lease = self.leases.get(token[0])
        if lease is not None and lease.epoch == token[1] and lease.after is not None:
            lease.after = None
            lease.assigned_at_ms = now_ms
            self._beater.given(lease)

    def _let_follow(self, name: Name, now_ms: int) -> None:
        """Gives the next jobs of a lane to the minion that runs one of it, as long as it has much room and
        nothing else waits for it.
        """
        if not self._lanes.hungry(name):
            return
        while (found := self._lanes.next(name)) is not None:
            holder, before, parcel = found
            lease = self.leases.get(holder[0])
            if lease is None or not lease.leads or not self._may_follow(lease, parcel, now_ms):
                return
            self._lanes.follow(parcel)
            self.traffic.inbound(parcel.dispatch.queue, parcel.dispatch.function)
            self._lease(parcel, lease.session, now_ms, spilled=lease.spilled, after=before)

    def _may_follow(self, lease: Lease, parcel: Parcel, now_ms: int) -> bool:
        """True if a dispatch may be given out behind a lease of its key."""
        session, dispatch = lease.session, parcel.dispatch
        return (
            session.follows
            and session.room() * FREE_SHARE > session.capacity
            and session.serves(dispatch.queue, dispatch.function)
            and not self._limits
            and dispatch.queue not in self.router.paused
            and (dispatch.expires_at_ms is None or now_ms < dispatch.expires_at_ms)
            and not self.router.waits_for(session)
        )

    def _unline(self, parcel: Parcel) -> None:
        """A dispatch shall not be given out any more: takes it out of where it waits."""
        if parcel.dispatch.job in self._lanes.parcels:
            self._lanes.remove(parcel)
            self._lane_ends.append((name_of(parcel), token_of(parcel), False, False))
        else:
            self._unroute(parcel)
            self._lane_ended(parcel, success=False)

    def _unroute(self, parcel: Parcel) -> None:
        """A dispatch waits for a minion no longer."""
        self.router.drop(parcel)
        self.traffic.done(parcel.dispatch.queue, parcel.dispatch.function)

    def _lane_ended(self, parcel: Parcel, *, success: bool) -> None:
        if in_order(parcel):
            self._lane_ends.append((name_of(parcel), token_of(parcel), success, False))

    def _settled(self, parcel: Parcel) -> bool:
        """True if the job has a lease or waits here already, at this epoch or a later one; older ones make
        room.
        """
        dispatch = parcel.dispatch
        lease = self.leases.get(dispatch.job)
        if lease is not None:
            if lease.epoch == dispatch.epoch:
                self._bind(lease, parcel)
                return True
            if lease.epoch > dispatch.epoch:
                parcel.window.done(parcel.offset)
                return True
            self._take_away(lease, "the job was dispatched again")
        waiting = self.router.parcels.get(dispatch.job) or self._lanes.parcels.get(dispatch.job)
        if waiting is not None:
            if waiting.dispatch.epoch >= dispatch.epoch:
                parcel.window.done(parcel.offset)
                return True
            self._unline(waiting)
            waiting.window.done(waiting.offset)
        return False

    def _lease(
        self, parcel: Parcel, session: Session, now_ms: int, *, spilled: bool, after: Token | None = None
    ) -> None:
        dispatch = parcel.dispatch
        lease = Lease(
            dispatch.job,
            dispatch.epoch,
            dispatch.attempt,
            dispatch.key,
            dispatch.partition,
            dispatch.queue,
            dispatch.function,
            dispatch.timeout_ms,
            dispatch.created_at_ms,
            now_ms,
            session,
            spilled,
            parcel.window,
            parcel.offset,
            in_order(parcel),
            leads(parcel),
            after,
        )
        self.leases[lease.job] = lease
        self._limits.begin(lease.queue, lease.function)
        self.assigned += 1
        self.spilled += spilled
        session.spend(lease, now_ms)
        session.wanted(now_ms, by_jobs=True)
        session.outbox.jobs.append((lease, dispatch))
        self.woken.add(session)
        if after is None:
            self._beater.given(lease)

    def _fill(self, session: Session, now_ms: int) -> None:
        """Gives a session what waits, as far as it has room: jobs and calls in turns, where both do."""
        worker = session.worker
        if worker is None or not self.calls.waits_for(worker):
            self._fill_jobs(session, now_ms)
            return
        session.wanted(now_ms, by_calls=True)
        while True:
            if session.gave_call and self._fill_jobs(session, now_ms, most=1):
                session.gave_call = False
            elif not self.calls.fill(worker, now_ms, most=1) and not self._fill_jobs(session, now_ms, most=1):
                return

    def _fill_jobs(self, session: Session, now_ms: int, most: int = CAPACITY_MAX) -> int:
        """Gives a session jobs that wait, `most` at most; how many."""
        given = 0
        if not self.router.parcels:
            return given
        for parcel, spilled in self.router.fill(session, now_ms):
            if self._expired(parcel, now_ms):
                self.traffic.done(parcel.dispatch.queue, parcel.dispatch.function)
            else:
                self._lease(parcel, session, now_ms, spilled=spilled)
                given += 1
                if given >= most:
                    break
        return given

    def _use_freed(self, now_ms: int) -> None:
        """Fills sessions that hold less than before, since leases were taken from them."""
        while self._freed:
            self._fill(self._freed.pop(), now_ms)
        if self._limits.freed:
            self._limits.freed = False
            self.calls.freed(now_ms)
            for session in list(self.sessions.values()):
                self._fill(session, now_ms)

    def _adopt(self, lease: Lease, session: Session, now_ms: int) -> bool:
        """Makes a lease that its minion says it holds this session's; False if it is no longer
        that minion's.
        """
        live = self.leases.get(lease.job)
        parcel = self.router.parcels.get(lease.job) or self._lanes.parcels.get(lease.job)
        if live is not None and live.epoch == lease.epoch:
            if live.session.minion != session.minion:
                return False
            self._left_behind(live.session, now_ms)
            del live.session.leases[live.job]
            lease = live
        elif (
            (live is not None and live.epoch > lease.epoch)
            or (parcel is not None and parcel.dispatch.epoch > lease.epoch)
            or (lease.job, lease.epoch) in self._ended
        ):
            return False
        else:
            if live is not None:
                self._take_away(live, "the job was dispatched again")
            self.leases[lease.job] = lease
            self._limits.begin(lease.queue, lease.function)
            self.traffic.inbound(lease.queue, lease.function)
            if parcel is not None:
                self._take_from_line(parcel, lease)
            self._lanes.hold((lease.queue, lease.key), (lease.job, lease.epoch))
        session.hold(lease, now_ms)
        self._beater.taken_over(lease)
        cancel = self._cancels.get(lease.job)
        if cancel is not None and cancel.epoch == lease.epoch:
            self._cancel(lease, "it was called off")
        return True

    def _left_behind(self, session: Session, now_ms: int) -> None:
        """A minion came back with a lease of this session: its stream is dead, whether or not
        that was seen yet.
        """
        if session.phase is not SessionPhase.GONE:
            reason = f"minion {session.minion} came back on another stream"
            self.broken(session, reason, now_ms)
            session.outbox.closing = Breach(reason, Refusal.SILENT)
            self.woken.add(session)

    def _take_from_line(self, parcel: Parcel, lease: Lease) -> None:
        """A waiting dispatch turns out to be held already, or to be older than what is held."""
        if parcel.dispatch.epoch != lease.epoch:
            self._unline(parcel)
            parcel.window.done(parcel.offset)
            return
        if parcel.dispatch.job in self._lanes.parcels:
            self._lanes.remove(parcel)
        else:
            self._unroute(parcel)
        self._bind(lease, parcel)

    @staticmethod
    def _bind(lease: Lease, parcel: Parcel) -> None:
        """The record of a lease was read: its offset is finished with the lease's first durable record."""
        if lease.window is not None and not lease.window.closed:
            parcel.window.done(parcel.offset)
            return
        lease.window, lease.offset = parcel.window, parcel.offset
        lease.created_at_ms = parcel.dispatch.created_at_ms
        if lease.told:
            parcel.window.done(parcel.offset)

    # Leases end.

    def _receipt(self, session: Session, said: relay_pb2.Receipt, now_ms: int) -> None:
        lease = self.leases.get(said.job)
        if lease is not None and lease.epoch == said.epoch:
            if lease.session is not session and lease.session.minion != session.minion:
                self._ignore(session, said, f"the lease is held by {lease.session.minion}")
                return
        elif not said.HasField("lease"):
            self._ignore(session, said, "no such lease is held")
            return
        else:
            if not self.partitions:
                raise Breach("this relay has calls only: it takes no receipts", Refusal.FULL)
            ending = self._ended.get((said.job, said.epoch))
            if ending is not None and ending.by_minion and ending.stored:
                self._acknowledge(session, said.number)
                return
            lease = self._stray(session, said)
            # Its lane has heard of an end already: of a lost one, say, which the state machine goes by.
            lease.ordered = ending is None
        session.check_allowed(lease.queue, lease.function)
        self._end(lease, receipt_of_minion(said, lease, self.relay, now_ms), session, said.number)

    def _stray(self, session: Session, said: relay_pb2.Receipt) -> Lease:
        """The lease of a receipt that was given by another relay, or ended here already: as the receipt tells
        it.
        """
        lease = lease_of_held(said.lease, session, self.partitions)
        if (lease.job, lease.epoch) != (said.job, said.epoch):
            raise Breach(
                f"a receipt must tell its own lease, got {lease.job} epoch {lease.epoch} "
                f"in the receipt of {shown(said.job)} epoch {said.epoch}"
            )
        session.check_allowed(lease.queue, lease.function)
        parcel = self.router.parcels.get(lease.job) or self._lanes.parcels.get(lease.job)
        if parcel is not None and parcel.dispatch.epoch == lease.epoch:
            self._take_from_line(parcel, lease)
        return lease

    def _ignore(self, session: Session, said: relay_pb2.Receipt, why: str) -> None:
        """A receipt that ends nothing is acknowledged all the same, or it would be sent for ever."""
        self.remarks.append(
            f"receipt ignored: {why} job_id={shown(said.job)} epoch={said.epoch} "
            f"minion={session.minion} session={session.id}"
        )
        self._acknowledge(session, said.number)

    def _lose(self, session: Session, reason: str, now_ms: int) -> None:
        """A session did not come back in time: all that it still holds is lost."""
        lost = list(session.leases.values())
        if lost:
            named = [lease.job for lease in lost[:NAMED_MAX]] + ["..."] * (len(lost) > NAMED_MAX)
            self.remarks.append(
                f"leases lost: {reason} leases={len(lost)} minion={session.minion} session={session.id} "
                f"job_ids={','.join(named)}"
            )
        for lease in lost:
            begun = lease.after is None
            self._end_by_relay(lease, Outcome.LOST if begun else Outcome.INTERRUPTED, reason, now_ms)

    def _end_by_relay(self, lease: Lease, outcome: Outcome, reason: str, now_ms: int) -> None:
        self._end(lease, receipt_of_relay(lease, outcome, reason, self.relay, now_ms), None, 0)

    def _end(self, lease: Lease, receipt: Receipt, session: Session | None, number: int) -> None:
        lease.over = True
        self.outcomes[receipt.outcome] += 1
        if self.leases.get(lease.job) is lease:
            self._limits.end(lease.queue, lease.function)
            self.traffic.done(lease.queue, lease.function)
            del self.leases[lease.job]
            del lease.session.leases[lease.job]
        ending = Ending(receipt.at_ms, lease.created_at_ms, by_minion=session is not None)
        self._remember((lease.job, lease.epoch), ending)
        self.records.append(Record(receipt, lease.key, (lease,), ending, session, number))
        if lease.ordered and lease.leads:
            self._lease_ended(lease, receipt)

    def _let_lanes_go_on(self, record: Record) -> None:
        """An end is durable, so what comes after it may run: before, it could have to run again itself, which
        some queues take into account.
        """
        for lease in record.leases:
            if lease.ordered and not lease.leads:
                assert isinstance(record.event, Receipt), "ends are told by receipts"
                self._lease_ended(lease, record.event)

    def _lease_ended(self, lease: Lease, receipt: Receipt | None) -> None:
        """Lets its lane know, at the next turn of the lanes; None: it goes on elsewhere."""
        success = receipt is not None and receipt.outcome == Outcome.SUCCESS
        quick = receipt is not None and receipt.run_ms is not None and receipt.run_ms <= QUICK_MS
        self._lane_ends.append(((lease.queue, lease.key), (lease.job, lease.epoch), success, quick))

    def _expired(self, parcel: Parcel, now_ms: int) -> bool:
        """True if a dispatch came too late to be assigned: then it is handed back, and the state machine
        expires it.
        """
        expires_at_ms = parcel.dispatch.expires_at_ms
        if expires_at_ms is None or now_ms < expires_at_ms:
            return False
        self._hand_back(parcel, Outcome.UNSERVED, now_ms)
        return True

    def _hand_back(self, parcel: Parcel, outcome: Outcome, now_ms: int) -> None:
        dispatch = parcel.dispatch
        self._lane_ended(parcel, success=False)
        ending = Ending(
            now_ms, dispatch.created_at_ms, by_minion=False, places=[(parcel.window, parcel.offset)]
        )
        self._remember((dispatch.job, dispatch.epoch), ending)
        self.records.append(
            Record(receipt_handed_back(dispatch, outcome, self.relay, now_ms), dispatch.key, ending=ending)
        )

    def _let_go(self, lease: Lease) -> None:
        """The lease goes on without this relay: another one adopts it, or the state machine finds
        it silent.
        """
        lease.over = True
        if lease.ordered:
            self._lease_ended(lease, None)
        self._limits.end(lease.queue, lease.function)
        self.traffic.done(lease.queue, lease.function)
        del self.leases[lease.job]
        del lease.session.leases[lease.job]
        self._freed.add(lease.session)

    def _take_away(self, lease: Lease, reason: str) -> None:
        """The state machine has gone on without this lease: its minion must stop, and nobody waits for its
        receipt.
        """
        self._let_go(lease)
        if lease.window is not None:
            lease.window.done(lease.offset)
        drop = relay_pb2.Drop(leases=[held_message(lease)], reason=reason)
        self._note(lease.session, relay_pb2.FromRelay(drop=drop))

    def _remember(self, key: tuple[str, int], ending: Ending) -> None:
        self._ended[key] = ending
        if len(self._ended) > ENDED_MAX:
            self._ended.popitem(last=False)

    # Smaller things.

    def _look(self, now_ms: int) -> None:
        """What need not be seen at once: silent sessions, functions that nobody has, ends long ago."""
        for session in list(self.sessions.values()):
            if session.silent_ms(now_ms) >= HEARTBEAT_TIMEOUT_MS:
                reason = f"minion {session.minion} was silent for {session.silent_ms(now_ms)} ms"
                self.broken(session, reason, now_ms)
                session.outbox.closing = Breach(reason, Refusal.SILENT)
                self.woken.add(session)
            if session.worker is not None and session.phase is SessionPhase.READY:
                self._share(session, session.worker, now_ms)
        if not self.draining:
            for parcel in self.router.unserved(now_ms):
                self.traffic.timedout(parcel.dispatch.queue, parcel.dispatch.function)
                self._hand_back(parcel, Outcome.UNSERVED, now_ms)
        while self._ended and now_ms - next(iter(self._ended.values())).at_ms > ENDED_KEEP_MS:
            self._ended.popitem(last=False)

    def _share(self, session: Session, worker: Worker, now_ms: int) -> None:
        """Finds out again whether jobs and calls both want a session, and gives out what was kept in vain."""
        jobs_wait, calls_wait = self.router.waits_for(session), self.calls.waits_for(worker)
        jobs, calls = jobs_wait or bool(session.leases), calls_wait or bool(worker.runs)
        session.wanted(now_ms, by_jobs=jobs, by_calls=calls)
        if jobs_wait or calls_wait:
            self._fill(session, now_ms)

    def _cancelled(self, dispatch: Dispatch) -> bool:
        """True if a cancel was decided after this dispatch; one from before a purged job's id came again is
        not.
        """
        cancel = self._cancels.get(dispatch.job)
        return (
            cancel is not None
            and dispatch.epoch <= cancel.epoch
            and dispatch.dispatched_at_ms <= cancel.at_ms
        )

    def _cancel(self, lease: Lease, reason: str) -> None:
        cancel = relay_pb2.Cancel(job=lease.job, epoch=lease.epoch, reason=reason)
        self._note(lease.session, relay_pb2.FromRelay(cancel=cancel))

    def _note(self, session: Session, note: relay_pb2.FromRelay) -> None:
        if session.phase is not SessionPhase.GONE:
            session.outbox.notes.append(note)
            self.woken.add(session)

    def _acknowledge(self, session: Session, number: int) -> None:
        session.stored(number)
        if session.phase is not SessionPhase.GONE and session.outbox.stored_up_to:
            self.woken.add(session)
