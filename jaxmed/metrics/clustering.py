"""How well clusters agree with labels or with other clusters, and what the numbers can reach.

Both arguments of each function name the group of every example by an integer; permuting the names changes
nothing. Logarithms are natural.
"""

import numpy as np
from jaxtyping import Int
from scipy.special import gammaln, xlogy


def contingency(
    first: Int[np.ndarray, " examples"], second: Int[np.ndarray, " others"]
) -> Int[np.ndarray, "first second"]:
    """Counts the examples in each pair of groups; groups without examples have no row or column.

    Raises:
        ValueError: no examples, or unequally many.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError(f"groups of shapes {first.shape} and {second.shape}; wanted (examples,) of both")
    (rows, row), (columns, column) = (np.unique(groups, return_inverse=True) for groups in (first, second))
    table = np.zeros((len(rows), len(columns)), np.int64)
    np.add.at(table, (row, column), 1)
    return table


def entropy(counts: Int[np.ndarray, " groups"]) -> float:
    """Entropy of the shares of groups with these numbers of examples, in nats."""
    shares = np.asarray(counts) / np.sum(counts)
    return float(-xlogy(shares, shares).sum())


def normalised_mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """2 I / (H(first) + H(second)), in [0, 1]; 1 where both have a single group.

    Reference: Kart et al., DeepMCAT, eq. 2.
    """
    table = contingency(first, second)
    total = entropy(table.sum(1)) + entropy(table.sum(0))
    return min(2 * _mutual_information(table) / total, 1.0) if total else 1.0


def normalised_mutual_information_ceiling(first: np.ndarray, second: np.ndarray) -> float:
    """The largest normalised mutual information of any two groupings with these entropies.

    2 min(H(first), H(second)) / (H(first) + H(second)): reached where each group of the finer one lies
    within a group of the coarser one. With 24 equal clusters of 3 equal classes it is 2 ln 3 / (ln 24 + ln
    3) = 0.514.
    """
    table = contingency(first, second)
    entropies = entropy(table.sum(1)), entropy(table.sum(0))
    return 2 * min(entropies) / sum(entropies) if sum(entropies) else 1.0


def purity(clusters: np.ndarray, labels: np.ndarray) -> float:
    """Share of the examples that have the most frequent label of their cluster, in (0, 1].

    It never falls when clusters are split, and is 1 for single examples.

    Reference: Kart et al., DeepMCAT, eq. 3.
    """
    table = contingency(clusters, labels)
    return float(table.max(1).sum() / table.sum())


def purity_by_chance(
    clusters: np.ndarray, labels: np.ndarray, *, num_draws: int = 20, seed: int = 0
) -> float:
    """Mean purity of clusters of the same sizes whose members are drawn at random."""
    rng = np.random.default_rng(seed)
    return float(np.mean([purity(clusters, rng.permutation(labels)) for _ in range(num_draws)]))


def adjusted_rand_index(first: np.ndarray, second: np.ndarray) -> float:
    """Agreement of pairs of examples above that of random groupings of the same sizes; 1 for equal ones.

    Reference: Hubert and Arabie, Comparing partitions, 1985.
    """
    table = contingency(first, second)
    pairs, rows, columns = (
        float((counts * (counts - 1) / 2).sum()) for counts in (table, table.sum(1), table.sum(0))
    )
    size = int(table.sum())
    expected = rows * columns / max(size * (size - 1) / 2, 1)
    largest = (rows + columns) / 2
    return (pairs - expected) / (largest - expected) if largest != expected else 1.0


def adjusted_mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """Mutual information above that of random groupings of the same sizes, over the mean entropy.

    (I - E I) / ((H(first) + H(second)) / 2 - E I): 0 on average by chance, however many groups there are, and
    1 for equal ones.

    Reference: Vinh, Epps and Bailey, Information theoretic measures for clusterings comparison, 2010, eq. 24.
    """
    table = contingency(first, second)
    rows, columns = table.sum(1), table.sum(0)
    expected = _expected_mutual_information(rows, columns)
    mean = (entropy(rows) + entropy(columns)) / 2
    # Single groups on both sides, or single examples: equal, and nothing to tell them from chance.
    if abs(mean - expected) < 1e-12 * max(mean, 1.0):
        return 1.0
    return (_mutual_information(table) - expected) / (mean - expected)


def compare_with_labels(clusters: np.ndarray, labels: np.ndarray | None) -> dict[str, float]:
    """All measures of clusters against labels, with what they can reach and what chance gives.

    Returns:
        "nmi labels", "nmi labels ceiling", "purity", "purity by chance", "ami labels" and "ari labels"; NaN
        without labels.
    """
    measures = {
        "nmi labels": normalised_mutual_information,
        "nmi labels ceiling": normalised_mutual_information_ceiling,
        "purity": purity,
        "purity by chance": purity_by_chance,
        "ami labels": adjusted_mutual_information,
        "ari labels": adjusted_rand_index,
    }
    if labels is None:
        return dict.fromkeys(measures, float("nan"))
    return {name: measure(clusters, labels) for name, measure in measures.items()}


def _mutual_information(table: np.ndarray) -> float:
    return max(entropy(table.sum(1)) + entropy(table.sum(0)) - entropy(table.ravel()), 0.0)


def _expected_mutual_information(rows: np.ndarray, columns: np.ndarray) -> float:
    """Of random groupings with these group sizes: hypergeometric counts in every pair."""
    size = int(rows.sum())
    total = 0.0
    for a, b in ((int(a), int(b)) for a in rows for b in columns):
        n = np.arange(max(1, a + b - size), min(a, b) + 1)
        log_probability = (
            gammaln([a + 1, b + 1, size - a + 1, size - b + 1]).sum()
            - gammaln(size + 1)
            - gammaln(n + 1)
            - gammaln(a - n + 1)
            - gammaln(b - n + 1)
            - gammaln(size - a - b + n + 1)
        )
        total += float((n / size * np.log(size * n / (a * b)) * np.exp(log_probability)).sum())
    return total
