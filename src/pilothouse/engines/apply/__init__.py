"""How a patch meets an object: pure functions from (object, patch) to a new object that shares what did not change."""
