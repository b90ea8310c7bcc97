import pytest

from jaxmed.ops.tree_names import name_leaves


def test_names_are_paths():
    tree = {"b": {"kernel": 1}, "a": [2, (3,)], "empty": {}}
    assert name_leaves(tree, separator="/") == {"a/0": 2, "a/1/0": 3, "b/kernel": 1}
    assert name_leaves(5, separator=".") == {"": 5}


@pytest.mark.parametrize("separator", ["/", "."])
def test_names_that_clash_are_refused(separator):
    with pytest.raises(ValueError, match=rf"two leaves are called a\{separator}b; wanted keys without"):
        name_leaves({"a": {"b": 1}, f"a{separator}b": 2}, separator=separator)
