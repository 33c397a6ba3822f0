"""What is asked, in three tongues: GraphQL of the API, a recursive statement over `referrer_id`, and Cypher for Kùzu.

Every answer is brought to one shape, so that the three can be compared before anything is timed. Members are named by their number.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Callable

from load import BRAND

# What our statements read of each member, so that the recursive ones are compared by their way and not by their width.
COLUMNS = (
    "m.number, m.id, m.external_id, m.person_id, m.status, m.referrer_id, m.creator_id, m.campaign_id, m.path::text, m.depth,"
    " m.joined_at, m.signed_up_at, m.activated_at, m.activation_count, m.referee_count, m.value_minor, m.last_active_at"
)
MEMBER = "{ id externalId status joinedAt }"
DEGREES = "{ size byDegree { degree members activated value { amount } } }"
DEGREES_MAX = 20_000  # more than the longest chain
TREE_PER_NODE = 10
EVERYTHING = "2000-01-01T00:00:00Z"  # a moment before all of it: sums since then are counted live
SUBTREES = {"1k": "of about 1,000", "100k": "of about 100,000", "giant": "of 30 % of all members"}


@dataclass
class Question:
    """`kind` and `asked_of` name a row of the report."""

    kind: str
    asked_of: str
    document: str
    read: Callable[[dict], Any]
    statement: str
    read_rows: Callable[[list], Any]
    cypher: Callable[[Any, Any], Any]
    arguments: Callable[[Any, Any], dict] = lambda names, member: {"id": member_id(names, member)}
    binds: Callable[[Any, Any], dict] = lambda names, member: {"id": names.id(member)}
    # What any request of the API asks the database besides: the statements of this document are not counted as the question's.
    preface: str = "query ($id: ID!) { member(id: $id) { id } }"

    @property
    def key(self):
        return f"{self.kind}|{self.asked_of}"


def member_id(names, member):
    """The public identifier: TypeID, the UUID in Crockford's base 32."""
    value = int(names.id(member), 16)
    return "member_" + "".join("0123456789abcdefghjkmnpqrstvwxyz"[value >> shift & 31] for shift in range(125, -1, -5))


def number(node):
    return int(node["externalId"][1:])


def minor(money):
    return int(Decimal(money["amount"]) * 100)


def first_column(rows):
    return [row[0] for row in rows]


def integers(rows):
    return [tuple(int(value) for value in row) for row in rows]


def run(graph, text, **parameters):
    return graph.execute(text, parameters).get_all()


# --- The recursive statements --------------------------------------------------------------------------------------------------

UP = f"""with recursive up as (
    select referrer_id as id, 1 as hop from members where brand_id = '{BRAND}' and id = %(id)s
    union all
    select m.referrer_id, up.hop + 1 from up join members m on m.brand_id = '{BRAND}' and m.id = up.id where up.hop < @hops@)
select {COLUMNS} from up join members m on m.brand_id = '{BRAND}' and m.id = up.id order by up.hop"""

REFEREES = f"""select {COLUMNS} from members m
where brand_id = '{BRAND}' and referrer_id = %(id)s order by joined_at, id limit 101"""

DOWN = f"""with recursive down as (
    select id, 0 as degree, path, activated_at, value_minor from members where brand_id = '{BRAND}' and id = %(id)s
    union all
    select m.id, down.degree + 1, m.path, m.activated_at, m.value_minor
    from down join members m on m.brand_id = '{BRAND}' and m.referrer_id = down.id where down.degree < @degrees@)
"""

DESCENDANTS = f"""{DOWN}select {COLUMNS}
from (select id, degree, path from down where degree > 0 order by degree, path limit 101) d
join members m on m.brand_id = '{BRAND}' and m.id = d.id order by d.degree, d.path"""

SUMS = f"""{DOWN}select degree, count(*), count(activated_at), sum(value_minor)::int8 from down where degree > 0
group by degree order by degree"""

# Sums since a moment: of each member the sales since then, which is what is asked.
SUMS_LIVE = f"""{DOWN}select degree, count(*), count(activated_at), coalesce(sum(sales), 0)::int8
from down left join lateral (
    select sum(amount_minor - refunded_minor) as sales from conversions
    where brand_id = '{BRAND}' and member_id = down.id and currency = 'USD' and occurred_at >= '{EVERYTHING}') c on value_minor > 0
where degree > 0 group by degree order by degree"""

TREE = f"""with recursive tree as (
    select id, number, null::int8 as parent, 0 as depth from members where brand_id = '{BRAND}' and id = %(id)s
    union all
    select c.id, c.number, tree.number, tree.depth + 1
    from tree cross join lateral (
        select id, number from members m where m.brand_id = '{BRAND}' and m.referrer_id = tree.id order by joined_at, id limit {TREE_PER_NODE}) c
    where tree.depth < 3)
select tree.parent, {COLUMNS}
from tree join members m on m.brand_id = '{BRAND}' and m.id = tree.id order by tree.depth"""

PATH = f"""with recursive up as (
    select ends.side, m.id, m.referrer_id, 0 as hop from (values (1, %(from)s::uuid), (2, %(to)s::uuid)) ends (side, id)
    join members m on m.brand_id = '{BRAND}' and m.id = ends.id
    union all
    select up.side, m.id, m.referrer_id, up.hop + 1 from up join members m on m.brand_id = '{BRAND}' and m.id = up.referrer_id),
meeting as (
    select a.hop as climb, b.hop as descent from up a join up b on b.id = a.id where a.side = 1 and b.side = 2 order by a.hop limit 1)
select {COLUMNS} from meeting join up on (up.side = 1 and up.hop <= climb) or (up.side = 2 and up.hop < descent)
join members m on m.brand_id = '{BRAND}' and m.id = up.id order by up.side, case when up.side = 1 then up.hop else -up.hop end"""

TOP = f"""with recursive carried as (
    select referrer_id as id, (signed_up_at is not null)::int as referrals, value_minor, 1 as hop
    from members where brand_id = '{BRAND}' and referrer_id is not null
    union all
    select m.referrer_id, c.referrals, c.value_minor, c.hop + 1
    from carried c join members m on m.brand_id = '{BRAND}' and m.id = c.id where m.referrer_id is not null and c.hop < @hops@)
select sum(@what@)::int8 from carried group by id order by 1 desc limit 20"""


# --- Cypher ----------------------------------------------------------------------------------------------------------------------


def up_cypher(hops):
    text = (
        f"match (m:Member {{number: $n}})<-[e:Referred* shortest 1..{hops}]-(a:Member)"
        " return a.number, a.joined_us order by length(e)"
    )
    return lambda graph, member: first_column(run(graph, text, n=member + 1))


def referees_cypher(graph, member):
    text = "match (m:Member {number: $n})-[:Referred]->(a:Member) return a.number, a.joined_us order by a.joined_us limit 100"
    return first_column(run(graph, text, n=member + 1))


def descendants_cypher(graph, member):
    text = (
        "match (m:Member {number: $n})-[e:Referred*1..3]->(a:Member)"
        " return a.number, a.joined_us, a.path, length(e) as degree order by degree, a.path limit 100"
    )
    return first_column(run(graph, text, n=member + 1))


def sums_cypher(degrees):
    # Walking breadth first is faster where all are wanted, and slower where three are.
    way = "1..3" if degrees == 3 else f" shortest 1..{degrees}"
    text = (
        f"match (m:Member {{number: $n}})-[e:Referred*{way}]->(a:Member)"
        " return length(e) as degree, count(*), sum(a.activated), sum(a.value) order by degree"
    )
    return lambda graph, member: integers(run(graph, text, n=member + 1))


def tree_cypher(graph, member):
    # There is no limit per parent in Cypher: all referees of a level are read and cut here.
    text = (
        "match (p:Member)-[:Referred]->(c:Member) where p.number in $parents"
        " return p.number, c.number, c.joined_us order by p.number, c.joined_us"
    )
    edges, level = set(), [member + 1]
    for _ in range(3):
        shown = {}
        for parent, child, _ in run(graph, text, parents=level):
            shown.setdefault(parent, []).append(child)
        level = [child for children in shown.values() for child in children[:TREE_PER_NODE]]
        edges |= {(parent, child) for parent, children in shown.items() for child in children[:TREE_PER_NODE]}
    return edges


def path_cypher(graph, pair):
    # Two climbs that are joined here: the shortest undirected path, in one query, floods the forest.
    climb = up_cypher(100)
    up, down = ([end + 1, *climb(graph, end)] for end in pair)
    meeting = next(member for member in up if member in set(down))
    return up[: up.index(meeting) + 1] + down[: down.index(meeting)][::-1]


def top_cypher(hops, what):
    text = f"match (m:Member)-[:Referred*1..{hops}]->(a:Member) return m.number, sum(a.{what}) as total order by total desc limit 20"
    return lambda graph, _: [int(row[1]) for row in run(graph, text)]


# --- The questions -----------------------------------------------------------------------------------------------------------------


def ancestors(asked_of, hops):
    argument = "(hops: 3)" if hops == 3 else ""
    return Question(
        f"ancestors, {'3 hops' if hops == 3 else 'all'}", asked_of,
        f"query ($id: ID!) {{ member(id: $id) {{ ancestors{argument} {MEMBER} }} }}",
        lambda data: [number(node) for node in data["member"]["ancestors"]],
        UP.replace("@hops@", str(hops)), first_column, up_cypher(hops),
    )


def page(kind, asked_of, field, statement, cypher):
    return Question(
        kind, asked_of, f"query ($id: ID!) {{ member(id: $id) {{ page: {field} {{ nodes {MEMBER} pageInfo {{ hasNextPage endCursor }} }} }} }}",
        lambda data: [number(node) for node in data["member"]["page"]["nodes"]],
        statement, lambda rows: first_column(rows)[:100], cypher,
    )


def downline(asked_of, degrees, is_live):
    arguments = [f"maxDepth: {degrees}"] * (degrees == 3) + [f'since: "{EVERYTHING}"'] * is_live
    argument = f"({', '.join(arguments)})" if arguments else ""
    which = "1-3" if degrees == 3 else "all"
    return Question(
        f"downline, degrees {which}, {'counted live' if is_live else 'kept'}", asked_of,
        f"query ($id: ID!) {{ member(id: $id) {{ downline{argument} {DEGREES} }} }}",
        lambda data: [
            (row["degree"], row["members"], row["activated"], minor(row["value"])) for row in data["member"]["downline"]["byDegree"]
        ],
        (SUMS_LIVE if is_live else SUMS).replace("@degrees@", str(degrees)), integers, sums_cypher(min(degrees, 100)),
    )


def tree(asked_of):
    return Question(
        f"referralTree, 3 levels of {TREE_PER_NODE}", asked_of,
        f"query ($id: ID!) {{ referralTree(rootId: $id, maxDepth: 3, perNode: {TREE_PER_NODE})"
        " { nodes { parentId refereeCount member { id externalId status } } } }",
        tree_edges, TREE, lambda rows: {row[:2] for row in rows if row[0]}, tree_cypher, preface="{ __typename }",
    )


def tree_edges(data):
    nodes = data["referralTree"]["nodes"]
    numbers = {node["member"]["id"]: number(node["member"]) for node in nodes}
    return {(numbers[node["parentId"]], numbers[node["member"]["id"]]) for node in nodes if node["parentId"]}


def path():
    return Question(
        "referralPath", "pair", f"query ($from: ID!, $to: ID!) {{ referralPath(fromId: $from, toId: $to) {{ hops members {MEMBER} }} }}",
        lambda data: [number(node) for node in data["referralPath"]["members"]],
        PATH, first_column, path_cypher,
        arguments=lambda names, pair: {"from": member_id(names, pair[0]), "to": member_id(names, pair[1])},
        binds=lambda names, pair: {"from": names.id(pair[0]), "to": names.id(pair[1])}, preface="{ __typename }",
    )


def top(ranking, hops):
    is_by_value = ranking.endswith("VALUE")
    column, what = ("value_minor", "value") if is_by_value else ("referrals", "signed_up")
    return Question(
        f"topReferrers, {ranking}", "all",
        f"{{ topReferrers(by: {ranking}, hops: {hops}, first: 20) {{ rank referrals value {{ amount }} member {{ id externalId }} }} }}",
        # What counts, not who: those who are equal have no order.
        lambda data: [minor(row["value"]) if is_by_value else row["referrals"] for row in data["topReferrers"]],
        TOP.replace("@hops@", str(hops)).replace("@what@", column), first_column, top_cypher(hops, what),
        arguments=lambda names, _: {}, binds=lambda names, _: {}, preface="{ __typename }",
    )


def questions():
    """All of them, in the order of the report."""
    found = [ancestors("any", 3), ancestors("deep", DEGREES_MAX), ancestors("chain", DEGREES_MAX)]
    found += [page("referees, first 100", whose, "referees(first: 100)", REFEREES, referees_cypher) for whose in ("referrer", "star")]
    statement = DESCENDANTS.replace("@degrees@", "3")
    field = "descendants(maxDepth: 3, first: 100)"
    found += [page("descendants to depth 3, first 100", size, field, statement, descendants_cypher) for size in [*SUBTREES, "star"]]
    for is_live in (False, True):
        for degrees in (3, DEGREES_MAX):
            found += [downline(size, degrees, is_live) for size in SUBTREES]
    found += [tree(size) for size in SUBTREES]
    found.append(path())
    found += [top("DIRECT_REFERRALS", 1), top("MULTI_HOP_REFERRALS", 3), top("DIRECT_VALUE", 1), top("MULTI_HOP_VALUE", 3)]
    return found
