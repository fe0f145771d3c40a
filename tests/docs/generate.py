"""`make docs`: writes the generated pages and tables of docs/."""

from __future__ import annotations

from tests.docs import generated, scenario_fields


def main() -> None:
    for file, text in generated.pages().items():
        file.write_text(text)
        print(file.relative_to(generated.ROOT))
    scenario_fields.PAGE.write_text(scenario_fields.page())
    print(scenario_fields.PAGE.relative_to(generated.ROOT))


if __name__ == "__main__":
    main()
