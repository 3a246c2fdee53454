"""The second try of `ci/test` and `ci/e2e`: tests that failed run once more, each alone, after all other tests."""
