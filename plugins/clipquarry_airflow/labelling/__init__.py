"""The labelling page: routes behind Airflow's login (``app``, ``guard``, ``rights``), and what runs in the browser (``static``, ``vendor``)."""
