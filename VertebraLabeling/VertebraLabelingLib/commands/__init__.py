"""The sub-commands of ``vertebra-labeling``, one module each with ``add_parser(subparsers)``."""
