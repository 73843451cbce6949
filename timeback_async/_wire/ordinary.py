"""The words that servers use of every record, and that therefore say nothing about a person.

They are in small letters. The names of the fields that we send are among them.
"""

__all__ = ["AMBIGUOUS", "PLAIN"]

# Hardly anybody's name; even where they are one, nobody is recognized by them.
_plain = """
    a abort aborted accept acceptable accepted access account accounts action active actual address
    admin again agent agents all allowed already also although amazon and another apache api app
    application are array as at attempt attention attribute authentication authorization authorized
    azure bad be bearer because been before begin being between birth birthdate body boolean but by
    bytes cannot changed character characters check choices class client closed cloudflare code
    codes conflict connection constraint contact contain contains content continue could country
    create created credentials current data database date dates debug delete deleted demographics
    denied dependency description details detected did different digit digits disabled district does
    domain due duplicate during each early either email empty enabled enableduser enddate endpoint
    entity entry enum envoy error errors exceed exceeded exception exist existing exists expectation
    expected expired extended external failed failure false familyname fields file filter follow
    following for forbidden foreign form format found from fullsuccess function gateway given
    givenname gone google grade grades granted greater guardian has have header headers host how
    http https id identifier ids if ignored implemented imsx inactive incorrect input insufficient
    integer internal into invalid invaliddata is it item items its json keys kong large later least
    legal length less letter letters like limit linked list locked longer lookup loop maintenance
    malformed many matched matching maximum media message metadata method middlename minimum
    misdirected missing modified moved multiple must name names needs nested network nginx not null
    number numbers oauth object objects of off one oneroster only openid operation operations option
    optional org organisation organization orgs other out over page parameter parameters parent
    parse parsing partial password path payload payment permanent permanently permission permitted
    phone please possible precondition preferredfirstname preferredlastname preferredmiddlename
    present primary primaryorg processed processing property provided proxy put query quota range
    rate ray reached reasons record records redirect redirecting reference referenced references
    refused rejected relation relationship relationshiptype request requested requests required
    reset resource response retry role roles roster rostering route routes row same satisfiable
    scheduled schema school scope scopes seconds section see server service session severity should
    size something somewhere sorry sourcedid sourcedids stale state status storage string strings
    student students support supported syntax table teacher teachers teapot temporarily temporary
    tenant that the their then there these they this timeback timeout timestamp token tokens too
    type types unable unauthorisedrequest unauthorized unavailable undefined unexpected unique
    unknown unknownobject unprocessable unsupported update updated upgrade upstream uri url use used
    user userid usermasteridentifier username users uuid valid validate validation value values
    version violates was webpage website went were what when where which who why with within without
    wrong xml you your
"""
PLAIN = frozenset(_plain.split())
# Names as well: as a word of the server they are in small letters.
_ambiguous = """
    an any back base best block case chance close cross day do else end field first go he her him
    his if in it key last link lock log long major mark max may me min minor miss more my new no on
    open or order our page pass per pool port power price prior quick read rest see she short so
    still sum term text than them time to true try up us void we will word worth write you young
"""
AMBIGUOUS = frozenset(_ambiguous.split())
