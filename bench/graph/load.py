"""Writes a forest into PostgreSQL as Grapevine would have left it, and into Kùzu; and chooses the members that are asked about."""

from pathlib import Path

import kuzu
import numpy as np

from forest import Forest, SEGMENT_DEPTH, kept_activity, kept_downlines

BRAND = "01940000-0000-7000-8000-000000000001"
TABLES = ["people", "members", "conversions", "member_downlines", "member_activity_days"]
CHUNK_ROWS = 50_000
SAMPLES_MAX = 1_000
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Names:
    """What a member is called: its identifier, its label and its path, by index."""

    def __init__(self, forest: Forest, seed: int):
        # As random as those of the pipeline, which are hashes.
        self.hex = np.random.default_rng([seed, 1]).bytes(16 * len(forest)).hex()
        low = [a + b for a in DIGITS for b in DIGITS]
        high = [label(number) if number else "" for number in range(len(forest) // 1_296 + 1)]
        labels = [a + b for a in high for b in low][: len(forest) + 1]
        labels[:1_296] = [text.lstrip("0") or "0" for text in labels[:1_296]]
        self.path = path = []
        is_anchor = forest.is_anchor.tolist()
        for number, parent in enumerate(forest.parent.tolist(), 1):
            if parent < 0:
                path.append(labels[number])
            elif is_anchor[parent]:
                path.append(f"{labels[parent + 1]}.{labels[number]}")
            else:
                path.append(f"{path[parent]}.{labels[number]}")

    def id(self, member):
        return self.hex[32 * member : 32 * member + 32]


def label(number):
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = DIGITS[digit] + digits
    return digits or "0"


def moments(us):
    """As texts that COPY reads; below zero is null."""
    texts = np.datetime_as_string(us.astype("datetime64[us]"), unit="us").tolist()
    return [text if value >= 0 else "\\N" for text, value in zip(texts, us.tolist())]


def chunks(count):
    return [(low, min(low + CHUNK_ROWS, count)) for low in range(0, count, CHUNK_ROWS)]


def fill(connection, forest, names, tell):
    """Writes all tables. Indexes and constraints are taken down and put back as they were, which is faster than to keep them."""
    connection.execute("insert into brands values (%s, 'default', 'Benchmark', 'USD', 0, false, now())", [BRAND])
    connection.execute(
        "insert into brand_counters values (%(brand)s, 'members', %(count)s), (%(brand)s, 'outbox', 0), (%(brand)s, 'outbox_published', 0)",
        {"brand": BRAND, "count": len(forest)},
    )
    put_back = take_down(connection)
    with connection.transaction():
        connection.execute(f"truncate {', '.join(TABLES)}")
        copy(connection, "people (brand_id, id, canonical_id, created_at)", people(forest, names))
        copy(connection, MEMBER_COLUMNS, members(forest, names))
        copy(connection, CONVERSION_COLUMNS, conversions(forest, names))
        copy(connection, DOWNLINE_COLUMNS, downlines(forest))
        copy(connection, "member_activity_days (brand_id, member_number, active_on, member_count)", activity(forest))
    tell("rows are written")
    for statement in put_back:
        connection.execute(statement)
    tell("indexes are built")
    connection.execute(f"vacuum (analyze) {', '.join(TABLES)}")
    connection.execute("checkpoint")


def take_down(connection):
    """Drops the constraints and indexes of the tables and returns the statements that make them again."""
    constraints = connection.execute(
        "select conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid), contype::text from pg_constraint"
        " where contype in ('p', 'u', 'f') and (conrelid = any (%(tables)s::regclass[]) or confrelid = any (%(tables)s::regclass[]))"
        " order by contype = 'f', oid",
        {"tables": TABLES},
    ).fetchall()
    for table, name, _, _ in reversed(constraints):
        connection.execute(f"alter table {table} drop constraint {name}")
    indexes = connection.execute(
        "select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index where indrelid = any (%s::regclass[])", [TABLES]
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"drop index {name}")
    # A foreign key that is not valid holds for new rows all the same.
    made = [
        f"alter table {table} add constraint {name} {text}{' not valid' if kind == 'f' else ''}"
        for table, name, text, kind in constraints
    ]
    keys = sum(kind != "f" for *_, kind in constraints)
    return made[:keys] + [text for _, text in indexes] + made[keys:]


def copy(connection, target, rows):
    with connection.cursor() as cursor, cursor.copy(f"copy {target} from stdin (freeze)") as stream:
        for text in rows:
            stream.write(text)


def people(forest, names):
    buyers = np.unique(forest.buyers)
    for low, high in chunks(len(buyers)):
        ids = [names.id(member) for member in buyers[low:high].tolist()]
        yield "".join([f"{BRAND}\t{id}\t{id}\t2024-01-01\n" for id in ids])


MEMBER_COLUMNS = (
    "members (brand_id, id, number, external_id, person_id, status, referrer_id, path, depth, joined_at, signed_up_at, activated_at,"
    " activation_count, referee_count, value_minor, last_active_at, created_at)"
)


def members(forest, names):
    has_person = np.zeros(len(forest), bool)
    has_person[forest.buyers] = True
    is_activated = forest.activated_us >= 0
    status = np.where(is_activated, "ACTIVATED", np.where(forest.signed_up, "SIGNED_UP", "INVITED"))
    for low, high in chunks(len(forest)):
        part = slice(low, high)
        ids = [names.hex[at : at + 32] for at in range(32 * low, 32 * high, 32)]
        referrers = [names.hex[32 * at : 32 * at + 32] if at >= 0 else "\\N" for at in forest.parent[part].tolist()]
        persons = [id if has else "\\N" for id, has in zip(ids, has_person[part].tolist())]
        joined = moments(forest.joined_us[part])
        signed_up = [at if is_signed_up else "\\N" for at, is_signed_up in zip(joined, forest.signed_up[part].tolist())]
        yield "".join([
            f"{BRAND}\t{id}\t{number}\tm{number}\t{person}\t{state}\t{referrer}\t{path}\t{depth}\t{joined_at}\t{signed_up_at}"
            f"\t{activated_at}\t{activated:d}\t{referees}\t{value}\t{active_at}\t{joined_at}\n"
            for id, number, person, state, referrer, path, depth, joined_at, signed_up_at, activated_at, activated, referees,
            value, active_at in zip(
                ids, range(low + 1, high + 1), persons, status[part].tolist(), referrers, names.path[part],
                forest.depth[part].tolist(), joined, signed_up, moments(forest.activated_us[part]), is_activated[part].tolist(),
                forest.referee_count[part].tolist(), forest.value_minor[part].tolist(), moments(forest.last_active_us[part]),
            )
        ])


CONVERSION_COLUMNS = (
    "conversions (brand_id, id, person_id, member_id, generation, order_id, amount_minor, currency, occurred_at, recorded_at)"
)


def conversions(forest, names):
    for low, high in chunks(len(forest.buyers)):
        part = slice(low, high)
        rows = zip(range(low, high), forest.buyers[part].tolist(), forest.amount_minor[part].tolist(), moments(forest.bought_us[part]))
        yield "".join([
            f"{BRAND}\t{order:032x}\t{names.id(member)}\t{names.id(member)}\t1\to{order}\t{amount}\tUSD\t{at}\t{at}\n"
            for order, member, amount, at in rows
        ])


DOWNLINE_COLUMNS = (
    "member_downlines (brand_id, member_number, degree, member_count, signed_up_count, activated_count, value_minor)"
)


def downlines(forest):
    for numbers, degree, *sums in kept_downlines(forest):
        for low, high in chunks(len(numbers)):
            rows = zip(numbers[low:high].tolist(), *(column[low:high].tolist() for column in sums))
            yield "".join([f"{BRAND}\t{top}\t{degree}\t{all}\t{up}\t{active}\t{value}\n" for top, all, up, active, value in rows])


def activity(forest):
    numbers, days, counts = kept_activity(forest)
    for low, high in chunks(len(numbers)):
        dates = np.datetime_as_string(days[low:high].astype("datetime64[D]")).tolist()
        rows = zip(numbers[low:high].tolist(), dates, counts[low:high].tolist())
        yield "".join([f"{BRAND}\t{top}\t{day}\t{count}\n" for top, day, count in rows])


def fill_kuzu(folder: Path, forest, names):
    """The same forest for Kùzu: what the questions need to be answered and ordered."""
    nodes, edges = folder / "nodes.csv", folder / "edges.csv"
    with open(nodes, "w", encoding="utf-8") as output:
        for low, high in chunks(len(forest)):
            part = slice(low, high)
            rows = zip(
                range(low + 1, high + 1), forest.joined_us[part].tolist(), names.path[part], forest.depth[part].tolist(),
                forest.signed_up[part].tolist(), (forest.activated_us[part] >= 0).tolist(), forest.value_minor[part].tolist(),
            )
            output.write("".join([f"{n},{at},{path},{depth},{up:d},{active:d},{value}\n" for n, at, path, depth, up, active, value in rows]))
    with open(edges, "w", encoding="utf-8") as output:
        for low, high in chunks(len(forest)):
            rows = zip(range(low + 1, high + 1), forest.parent[low:high].tolist())
            output.write("".join([f"{parent + 1},{number}\n" for number, parent in rows if parent >= 0]))
    database = kuzu.Database(str(folder / "kuzu"), buffer_pool_size=4 << 30)
    graph = kuzu.Connection(database)
    graph.execute(
        "create node table Member (number int64 primary key, joined_us int64, path string, depth int64, signed_up int64,"
        " activated int64, value int64)"
    )
    graph.execute("create rel table Referred (from Member to Member)")
    graph.execute(f"copy Member from '{nodes}' (parallel=true)")
    graph.execute(f"copy Referred from '{edges}' (parallel=true)")
    nodes.unlink()
    edges.unlink()
    return graph


def samples(forest, seed):
    """The members that are asked about, by class: lists of indices, or of pairs of them."""
    rng = np.random.default_rng([seed, 2])
    is_bushy = np.ones(len(forest), bool)
    is_bushy[forest.chain], is_bushy[forest.star] = False, False

    def some(members):
        return rng.permutation(members)[:SAMPLES_MAX].tolist()

    def of_size(size):
        is_near = np.abs(np.log(np.maximum(forest.size, 1) / size)) < 0.25
        return some(np.flatnonzero(is_near & is_bushy))

    is_deep = is_bushy & (forest.depth >= np.quantile(forest.depth, 0.99))
    in_giant = [member for member in some(np.arange(len(forest))) if root_of(forest, member) == forest.giant]
    return {
        "any": some(np.flatnonzero(forest.depth >= 3)),
        "deep": some(np.flatnonzero(is_deep)),
        "chain": [int(forest.chain[-1])],
        "referrer": some(np.flatnonzero(forest.referee_count >= 10)),
        "star": [forest.star],
        "1k": of_size(1_000),
        "100k": of_size(100_000),
        "giant": [forest.giant],
        "pair": list(zip(in_giant, in_giant[1:])),
        "all": [0],
    }


def root_of(forest, member):
    while forest.parent[member] >= 0:
        member = forest.parent[member]
    return member
