# For the astro CLI (astro dev start); the image is Astro Runtime with Airflow 3.3. Untested: see docs/operating.md.
# The runtime's own build steps install packages.txt and requirements.txt and copy this folder to /usr/local/airflow.
FROM astrocrpublic.azurecr.io/runtime:3.3-2

# Clipquarry is not installed in the image: it lies in include/ and plugins/.
ENV PYTHONPATH=/usr/local/airflow/include:/usr/local/airflow/plugins
ENV YTDLP_NO_PLUGINS=1
# There is a DAG file a data set; a changed YAML is seen after this many seconds.
ENV AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL=300
# Mount a volume here: what is written inside a container is lost with it.
ENV CLIPQUARRY_DATA=/usr/local/airflow/data
